//! refparse
