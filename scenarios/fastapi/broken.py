"""An application with a missing dependency: importing it fails."""

import a_module_that_was_never_installed  # noqa: F401
