//! Watches the plugin directory.
