//! Tables, and a month of runs.
