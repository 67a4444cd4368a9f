//! Functions for JavaScript that are called for every message, without the overhead of a general
//! binding.

use std::{
    borrow::Cow,
    cell::RefCell,
    ffi::{CStr, c_void},
    io,
    mem::MaybeUninit,
    ptr, slice,
};

use super::symbols::{NAPI_OK, Pointer, Symbols, catch_panic, symbols};

/// What a function reads its one argument as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// A string whose surrogates are in pairs.
    Text,
    /// A string.
    AnyText,
    /// A Buffer.
    Bytes,
}

/// The argument.
#[derive(Debug)]
pub enum Value<'a> {
    /// A string in UTF-8.
    Utf8(Cow<'a, [u8]>),
    /// A string in UTF-16, because that is cheaper.
    Utf16(Utf16),
    /// The bytes of a Buffer.
    Bytes(&'a [u8]),
}

/// A string in UTF-16, as bytes in the order of this machine.
#[derive(Debug)]
pub struct Utf16(Vec<u16>);

impl AsRef<[u8]> for Utf16 {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the same memory, as bytes.
        unsafe { slice::from_raw_parts(self.0.as_ptr().cast(), size_of_val(self.0.as_slice())) }
    }
}

/// Texts up to this length, in bytes, share one buffer.
const USUAL_LENGTH: usize = 4 * 1024;

/// The longest character of UTF-8, and the zero at the end of a text.
const TAIL: usize = 5;

/// What a function returns for an argument of another type.
pub const OTHER_ARGUMENT: f64 = -(libc::EILSEQ as f64);

type Run = Box<dyn Fn(Value<'_>) -> f64>;

/// What belongs to one function, until JavaScript collects it.
struct Callee {
    argument: Argument,
    run: Run,
    text: RefCell<[MaybeUninit<u8>; USUAL_LENGTH]>,
    symbols: &'static Symbols,
}

/// Defines a method `name` of `object` that calls `run` with its one argument, and returns the result;
/// [`OTHER_ARGUMENT`] for an argument of another type.
///
/// The caller promises that it is called from JavaScript, and that `env` and `object` belong to that
/// call.
///
/// # Errors
/// When the environment is ending, or the runtime is not Node.
pub(crate) fn define(
    env: *mut c_void,
    object: *mut c_void,
    name: &CStr,
    argument: Argument,
    run: impl Fn(Value<'_>) -> f64 + 'static,
) -> io::Result<()> {
    let symbols = symbols()?;
    let text = RefCell::new([MaybeUninit::uninit(); USUAL_LENGTH]);
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
    // After a failure the callee is not freed, because JavaScript may have the function.
    if defined { Ok(()) } else { Err(io::Error::other("the JavaScript environment is ending")) }
}

unsafe extern "C" fn free(_env: Pointer, callee: Pointer, _hint: Pointer) {
    // SAFETY: the box made in `define`, taken back once, when the function can no longer be called.
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
    let mut returned = OTHER_ARGUMENT;
    catch_panic(|| returned = callee.call(env, argument).unwrap_or(OTHER_ARGUMENT));
    let mut value = ptr::null_mut();
    // SAFETY: as above. Where it fails, undefined is returned.
    unsafe { (symbols.napi_create_double)(env, returned, &raw mut value) };
    value
}

impl Callee {
    fn call(&self, env: Pointer, argument: Pointer) -> Option<f64> {
        match self.argument {
            Argument::Text | Argument::AnyText => self.call_with_text(env, argument),
            Argument::Bytes => self.call_with_bytes(env, argument),
        }
    }

    /// V8 is quick to turn its strings into UTF-8 where they are ASCII; otherwise UTF-16 costs
    /// less, unless the string is short.
    fn call_with_text(&self, env: Pointer, argument: Pointer) -> Option<f64> {
        // Not reentrant: nothing is called back meanwhile.
        let mut room = self.text.try_borrow_mut().ok()?;
        let length = self.read_utf8(env, argument, &mut room[..])?;
        // SAFETY: that much has been written.
        let start = unsafe { slice::from_raw_parts(room.as_ptr().cast::<u8>(), length) };
        let is_ascii = start.is_ascii();
        // A character that does not fit is left out.
        let is_whole = length + TAIL <= room.len();
        if is_whole && (is_ascii || self.argument == Argument::Text) {
            return Some((self.run)(Value::Utf8(Cow::Borrowed(start))));
        }
        let units = self.units(env, argument)?;
        if is_ascii && let Some(text) = self.read_ascii(env, argument, units) {
            return Some((self.run)(Value::Utf8(Cow::Owned(text))));
        }
        let text = self.read_utf16(env, argument, units)?;
        Some((self.run)(Value::Utf16(Utf16(text))))
    }

    /// How many units of UTF-16 a string has.
    fn units(&self, env: Pointer, argument: Pointer) -> Option<usize> {
        let read = self.symbols.napi_get_value_string_utf16;
        let mut units = 0;
        // SAFETY: the argument is a value of the call we are in; without room, only the length is
        // told.
        let status = unsafe { read(env, argument, ptr::null_mut(), 0, &raw mut units) };
        (status == NAPI_OK).then_some(units)
    }

    /// Reads as much of a string as there is room for, and returns the number of bytes.
    fn read_utf8(
        &self,
        env: Pointer,
        argument: Pointer,
        room: &mut [MaybeUninit<u8>],
    ) -> Option<usize> {
        let read = self.symbols.napi_get_value_string_utf8;
        let mut length = 0;
        // SAFETY: the argument is a value of the call we are in; the room is as told.
        let status =
            unsafe { read(env, argument, room.as_mut_ptr().cast(), room.len(), &raw mut length) };
        (status == NAPI_OK).then_some(length)
    }

    /// Reads a string of so many units, if it is ASCII.
    fn read_ascii(&self, env: Pointer, argument: Pointer, units: usize) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(units + TAIL);
        let length = self.read_utf8(env, argument, text.spare_capacity_mut())?;
        // SAFETY: that much has been written.
        unsafe { text.set_len(length) };
        // Any other character takes more bytes than units, or has too little room.
        (length == units && text.is_ascii()).then_some(text)
    }

    /// Reads a string of so many units.
    fn read_utf16(&self, env: Pointer, argument: Pointer, units: usize) -> Option<Vec<u16>> {
        let read = self.symbols.napi_get_value_string_utf16;
        let mut text = Vec::with_capacity(units + 1);
        let mut length = 0;
        // SAFETY: the argument is a value of the call we are in; there is room for a zero as well.
        let status = unsafe { read(env, argument, text.as_mut_ptr(), units + 1, &raw mut length) };
        if status != NAPI_OK {
            return None;
        }
        // SAFETY: that much has been written.
        unsafe { text.set_len(length) };
        Some(text)
    }

    fn call_with_bytes(&self, env: Pointer, argument: Pointer) -> Option<f64> {
        let (mut data, mut length) = (ptr::null_mut(), 0);
        // SAFETY: the argument is a value of the call we are in.
        let status = unsafe {
            (self.symbols.napi_get_buffer_info)(env, argument, &raw mut data, &raw mut length)
        };
        if status != NAPI_OK {
            return None;
        }
        let bytes = match length {
            0 => &[],
            // SAFETY: as Node says; JavaScript does not run while we use it.
            _ => unsafe { slice::from_raw_parts(data.cast::<u8>(), length) },
        };
        Some((self.run)(Value::Bytes(bytes)))
    }
}
