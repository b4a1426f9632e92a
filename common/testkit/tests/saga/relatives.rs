//! Children past their point of no return, and parents that are stuck past theirs.
