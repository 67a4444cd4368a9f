//! A target without libFuzzer, and so without a C++ compiler: it runs the one input whose path it
//! is given.

use std::{
    env,
    ffi::{c_char, c_int},
    fs, ptr,
};

#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    // A panic is told once.
    libfuzzer_sys::initialize(ptr::null(), ptr::null());
    let path = env::args_os().nth(1).expect("the path of an input");
    let input = fs::read(path).expect("an input");
    // SAFETY: the bytes stay where they are. It returns only if the target has not panicked.
    unsafe { libfuzzer_sys::test_input_wrap(input.as_ptr(), input.len()) };
    0
}
