//! A monitor and its API, on a real bus and a real store.

mod access;
mod assignment;
mod cleanup;
mod components;
mod deaths;
mod erasures;
mod events;
mod overview;
mod players;
mod rooms;
mod support;
