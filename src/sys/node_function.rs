//! Functions for JavaScript that are called for every message, without what a general binding does
//! around each call.

use std::{
    cell::RefCell,
    ffi::{CStr, c_void},
    io, ptr, slice,
};

use super::node::{NAPI_OK, Pointer, Symbols, contain, symbols};

/// What a function reads its one argument as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// A string, as UTF-8.
    Text,
    /// A Buffer.
    Bytes,
}

/// Texts up to this length, in bytes, are read by one call.
const USUAL_LENGTH: usize = 4 * 1024;

/// More than this is not kept for the next text.
const KEPT_LENGTH: usize = 256 * 1024;

type Run = Box<dyn Fn(&[u8]) -> f64>;

/// What belongs to one function, until JavaScript has no use for it any more.
struct Callee {
    argument: Argument,
    run: Run,
    text: RefCell<Vec<u8>>,
    symbols: &'static Symbols,
}

/// Gives `object` a method `name` of one argument that returns what `run` makes of its bytes; -1
/// where the argument is something else.
///
/// `env` and `object` are promised to be those of the caller, who is called from JavaScript.
///
/// # Errors
/// When the environment is ending, or the runtime is not Node.
pub(crate) fn define(
    env: *mut c_void,
    object: *mut c_void,
    name: &CStr,
    argument: Argument,
    run: impl Fn(&[u8]) -> f64 + 'static,
) -> io::Result<()> {
    let symbols = symbols()?;
    let text = RefCell::new(vec![0; USUAL_LENGTH]);
    let callee = Box::into_raw(Box::new(Callee { argument, run: Box::new(run), text, symbols }));
    let mut function = ptr::null_mut();
    // SAFETY: the environment is running, with a handle scope of the call we are in; `callee` lives
    // until `free`.
    let defined = unsafe {
        (symbols.napi_create_function)(
            env,
            name.as_ptr(),
            name.to_bytes().len(),
            on_call,
            callee.cast(),
            &raw mut function,
        ) == NAPI_OK
            && (symbols.napi_set_named_property)(env, object, name.as_ptr(), function) == NAPI_OK
            && (symbols.napi_add_finalizer)(
                env,
                function,
                callee.cast(),
                free,
                ptr::null_mut(),
                ptr::null_mut(),
            ) == NAPI_OK
    };
    // Otherwise the callee stays: the function may have been given away.
    if defined { Ok(()) } else { Err(io::Error::other("the JavaScript environment is ending")) }
}

unsafe extern "C" fn free(_env: Pointer, callee: Pointer, _hint: Pointer) {
    // SAFETY: the box made in `define`, taken back once, when nobody can call the function any more.
    drop(unsafe { Box::from_raw(callee.cast::<Callee>()) });
}

unsafe extern "C" fn on_call(env: Pointer, info: Pointer) -> Pointer {
    let Ok(symbols) = symbols() else { return ptr::null_mut() };
    let mut argument = ptr::null_mut();
    let mut count = 1;
    let mut callee: Pointer = ptr::null_mut();
    // SAFETY: this is a call of Node's, with room for one argument.
    let status = unsafe {
        (symbols.napi_get_cb_info)(
            env,
            info,
            &raw mut count,
            &raw mut argument,
            ptr::null_mut(),
            &raw mut callee,
        )
    };
    if status != NAPI_OK {
        return ptr::null_mut();
    }
    // SAFETY: what `define` gave, which lives as long as the function.
    let callee = unsafe { &*callee.cast::<Callee>() };
    let mut returned = -1.0;
    contain(|| returned = callee.call(env, argument).unwrap_or(-1.0));
    let mut value = ptr::null_mut();
    // SAFETY: as above. Where it fails, undefined is returned.
    unsafe { (symbols.napi_create_double)(env, returned, &raw mut value) };
    value
}

impl Callee {
    fn call(&self, env: Pointer, argument: Pointer) -> Option<f64> {
        match self.argument {
            Argument::Text => {
                // Not reentrant: nothing is called back meanwhile.
                let mut text = self.text.try_borrow_mut().ok()?;
                let length = self.read_text(env, argument, &mut text)?;
                let returned = (self.run)(&text[..length]);
                if text.len() > KEPT_LENGTH {
                    *text = vec![0; USUAL_LENGTH];
                }
                Some(returned)
            }
            Argument::Bytes => {
                let (mut data, mut length) = (ptr::null_mut(), 0);
                // SAFETY: the argument is a value of the call we are in.
                let status = unsafe {
                    let read = self.symbols.napi_get_buffer_info;
                    read(env, argument, &raw mut data, &raw mut length)
                };
                if status != NAPI_OK {
                    return None;
                }
                let bytes = match length {
                    0 => &[],
                    // SAFETY: as Node says; JavaScript does not run while we use it.
                    _ => unsafe { slice::from_raw_parts(data.cast::<u8>(), length) },
                };
                Some((self.run)(bytes))
            }
        }
    }

    /// Reads a string into `text`, which grows as needed, and says how long it is.
    fn read_text(&self, env: Pointer, argument: Pointer, text: &mut Vec<u8>) -> Option<usize> {
        let read = self.symbols.napi_get_value_string_utf8;
        let mut length = 0;
        // SAFETY: the argument is a value of the call we are in; the room is as told.
        let status =
            unsafe { read(env, argument, text.as_mut_ptr().cast(), text.len(), &raw mut length) };
        if status != NAPI_OK {
            return None;
        }
        // A character that does not fit is left out, and so is the zero at the end.
        if length + 5 <= text.len() {
            return Some(length);
        }
        // SAFETY: without room, only the length is told.
        let status = unsafe { read(env, argument, ptr::null_mut(), 0, &raw mut length) };
        if status != NAPI_OK {
            return None;
        }
        text.resize(length + 5, 0);
        // SAFETY: as above.
        let status =
            unsafe { read(env, argument, text.as_mut_ptr().cast(), text.len(), &raw mut length) };
        (status == NAPI_OK).then_some(length)
    }
}
