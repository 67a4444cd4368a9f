//! A number that JavaScript writes, in memory that another process reads.

use std::{
    ffi::{CStr, c_int, c_void},
    io, ptr,
};

use super::symbols::{NAPI_OK, Pointer, catch_panic, symbols};
use crate::sys::ring::SharedCounters;

/// `napi_uint32_array` of js_native_api_types.h.
const UINT32_ARRAY: c_int = 6;

/// Defines a property `name` of `object`: a `Uint32Array` whose only element is
/// [`engaged`](SharedCounters::engaged).
///
/// The caller promises that it is called from JavaScript, and that `env` and `object` belong to that
/// call.
///
/// # Errors
/// When the environment is ending, has such an array already, or allows none.
pub(crate) fn define_engaged(
    env: *mut c_void,
    object: *mut c_void,
    name: &CStr,
    counters: SharedCounters,
) -> io::Result<()> {
    let symbols = symbols()?;
    let number: Pointer = counters.engaged_address().cast();
    let keeper = Box::into_raw(Box::new(counters));
    let mut buffer = ptr::null_mut();
    // SAFETY: the environment is running, with a handle scope of the call we are in. The number is valid
    // as long as `keeper`, which `free` drops after the buffer.
    let created = unsafe {
        (symbols.napi_create_external_arraybuffer)(
            env,
            number,
            size_of::<u32>(),
            free,
            keeper.cast(),
            &raw mut buffer,
        )
    };
    let failed = || io::Error::other("memory can't be shared with JavaScript");
    if created != NAPI_OK {
        // SAFETY: Node calls `free` only for a buffer that it has made.
        drop(unsafe { Box::from_raw(keeper) });
        return Err(failed());
    }
    let mut array = ptr::null_mut();
    // SAFETY: as above; the buffer has room for one number.
    let defined = unsafe {
        (symbols.napi_create_typedarray)(env, UINT32_ARRAY, 1, buffer, 0, &raw mut array) == NAPI_OK
            && (symbols.napi_set_named_property)(env, object, name.as_ptr(), array) == NAPI_OK
    };
    if defined { Ok(()) } else { Err(failed()) }
}

unsafe extern "C" fn free(_env: Pointer, _number: Pointer, keeper: Pointer) {
    // SAFETY: the box of `define_engaged`, which Node passes once.
    catch_panic(|| drop(unsafe { Box::from_raw(keeper.cast::<SharedCounters>()) }));
}
