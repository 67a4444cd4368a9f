//! Bytes that JavaScript writes, in memory that another process reads.

use std::{
    ffi::{CStr, c_int, c_void},
    io, ptr,
};

use super::symbols::{NAPI_OK, Pointer, catch_panic, symbols};
use crate::sys::ring::SharedCounters;

/// `napi_uint8_array` of js_native_api_types.h.
const UINT8_ARRAY: c_int = 1;

/// Defines a property `name` of `object`: a `Uint8Array` of the
/// [states of connections](SharedCounters::states_address).
///
/// The caller promises that it is called from JavaScript, and that `env` and `object` belong to that
/// call.
///
/// # Errors
/// When the environment is ending, has such an array already, or allows none.
pub(crate) fn define_states(
    env: *mut c_void,
    object: *mut c_void,
    name: &CStr,
    counters: SharedCounters,
) -> io::Result<()> {
    let symbols = symbols()?;
    let (states, length) = counters.states_address();
    let keeper = Box::into_raw(Box::new(counters));
    let mut buffer = ptr::null_mut();
    // SAFETY: the environment is running, with a handle scope of the call we are in. The memory is valid
    // as long as `keeper`, which `free` drops after the buffer.
    let created = unsafe {
        (symbols.napi_create_external_arraybuffer)(
            env,
            states.cast(),
            length,
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
    // SAFETY: as above; the buffer has that length.
    let defined = unsafe {
        let kind = UINT8_ARRAY;
        (symbols.napi_create_typedarray)(env, kind, length, buffer, 0, &raw mut array) == NAPI_OK
            && (symbols.napi_set_named_property)(env, object, name.as_ptr(), array) == NAPI_OK
    };
    if defined { Ok(()) } else { Err(failed()) }
}

unsafe extern "C" fn free(_env: Pointer, _states: Pointer, keeper: Pointer) {
    // SAFETY: the box of `define_states`, which Node passes once.
    catch_panic(|| drop(unsafe { Box::from_raw(keeper.cast::<SharedCounters>()) }));
}
