//! What must be told to nobody: taken out before anything is kept, sent or printed.
