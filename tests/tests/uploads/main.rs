//! POST of files over HTTP: what is stored, what comes back, what is refused.

mod archives;
mod certificates;
mod downloads;
mod files;
mod forms;
mod hostile;
mod pcaps;
mod samples;
mod screenshots;
