//! The lab, tested through its binary and its trace decoder.

mod compare;
mod failures;
mod figures;
mod load;
mod races;
mod replay;
mod support;
mod trace;
