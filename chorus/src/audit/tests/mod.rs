//! Small logs, a script of a few lines, and the violations that must be found in them. `logs` and `players` make them.

mod frames;
mod history;
mod logs;
mod players;
mod room_messages;
mod stored;
mod taken_back;
