//! What every store must do: a suite that takes any [`super::Store`].
