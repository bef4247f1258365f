//! To come: which level a disk is dumped at, and why.
