//! ELF files (in progress).
