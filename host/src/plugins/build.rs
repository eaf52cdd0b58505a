//! Core module → component with its declaration frozen into it.
