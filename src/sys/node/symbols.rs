//! The functions of the Node executable, looked up by name.

use std::{
    ffi::{c_char, c_int, c_void},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

pub(super) const NAPI_OK: c_int = 0;
pub(super) const NAPI_PENDING_EXCEPTION: c_int = 10;

pub(super) type Pointer = *mut c_void;
type OnPoll = unsafe extern "C" fn(Pointer, c_int, c_int);
type OnTimer = unsafe extern "C" fn(Pointer);
type OnTurn = unsafe extern "C" fn(Pointer);
type OnClose = unsafe extern "C" fn(Pointer);
type OnCall = unsafe extern "C" fn(Pointer, Pointer) -> Pointer;
type OnCleanup = unsafe extern "C" fn(Pointer);
type OnFinalize = unsafe extern "C" fn(Pointer, Pointer, Pointer);

macro_rules! symbols {
    ($($name:ident: $signature:ty,)*) => {
        /// Functions exported by every Node executable of the supported versions.
        pub(super) struct Symbols {
            $(pub(super) $name: $signature,)*
        }

        impl Symbols {
            fn load() -> Option<Self> {
                $(
                    // SAFETY: the name is a C string; the lookup has no other condition.
                    let $name = unsafe {
                        libc::dlsym(libc::RTLD_DEFAULT, concat!(stringify!($name), "\0").as_ptr().cast())
                    };
                    if $name.is_null() {
                        return None;
                    }
                )*
                Some(Self {
                    // SAFETY: the signatures are those of uv.h and node_api.h.
                    $($name: unsafe { std::mem::transmute::<Pointer, $signature>($name) },)*
                })
            }
        }
    };
}

/// Declares a struct of functions that some executables may not export, and its method `get`: `None` where one
/// of them is missing.
macro_rules! load_optional {
    ($(#[$doc:meta])* struct $table:ident; $($name:ident = $symbol:literal: $signature:ty,)*) => {
        $(#[$doc])*
        struct $table {
            $($name: $signature,)*
        }

        impl $table {
            fn get() -> Option<&'static Self> {
                static TABLE: std::sync::OnceLock<Option<$table>> = std::sync::OnceLock::new();
                TABLE.get_or_init(Self::load).as_ref()
            }

            fn load() -> Option<Self> {
                Some(Self {
                    $($name: {
                        // SAFETY: the name is a C string; the lookup has no other condition.
                        let address = unsafe {
                            libc::dlsym(libc::RTLD_DEFAULT, concat!($symbol, "\0").as_ptr().cast())
                        };
                        if address.is_null() {
                            return None;
                        }
                        // SAFETY: the mangled name tells the parameters; the declarations are in node.h,
                        // v8-isolate.h and v8-debug.h, unchanged from Node 18 to 26.
                        unsafe { std::mem::transmute::<Pointer, $signature>(address) }
                    },)*
                })
            }
        }
    };
}

pub(super) use load_optional;

symbols! {
    uv_handle_size: unsafe extern "C" fn(c_int) -> usize,
    uv_handle_set_data: unsafe extern "C" fn(Pointer, Pointer),
    uv_handle_get_data: unsafe extern "C" fn(Pointer) -> Pointer,
    uv_poll_init: unsafe extern "C" fn(Pointer, Pointer, c_int) -> c_int,
    uv_poll_start: unsafe extern "C" fn(Pointer, c_int, OnPoll) -> c_int,
    uv_poll_stop: unsafe extern "C" fn(Pointer) -> c_int,
    uv_timer_init: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    uv_timer_start: unsafe extern "C" fn(Pointer, OnTimer, u64, u64) -> c_int,
    uv_prepare_init: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    uv_prepare_start: unsafe extern "C" fn(Pointer, OnTurn) -> c_int,
    uv_check_init: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    uv_check_start: unsafe extern "C" fn(Pointer, OnTurn) -> c_int,
    uv_is_active: unsafe extern "C" fn(Pointer) -> c_int,
    uv_close: unsafe extern "C" fn(Pointer, OnClose),
    uv_ref: unsafe extern "C" fn(Pointer),
    uv_unref: unsafe extern "C" fn(Pointer),
    napi_create_string_utf8: unsafe extern "C" fn(Pointer, *const c_char, usize, *mut Pointer) -> c_int,
    napi_get_value_string_utf16: unsafe extern "C" fn(Pointer, Pointer, *mut u16, usize, *mut usize) -> c_int,
    napi_get_value_string_utf8: unsafe extern "C" fn(Pointer, Pointer, *mut c_char, usize, *mut usize) -> c_int,
    napi_get_buffer_info: unsafe extern "C" fn(Pointer, Pointer, *mut Pointer, *mut usize) -> c_int,
    napi_create_external_arraybuffer: unsafe extern "C" fn(Pointer, Pointer, usize, OnFinalize, Pointer, *mut Pointer) -> c_int,
    napi_create_typedarray: unsafe extern "C" fn(Pointer, c_int, usize, Pointer, usize, *mut Pointer) -> c_int,
    napi_create_double: unsafe extern "C" fn(Pointer, f64, *mut Pointer) -> c_int,
    napi_create_function: unsafe extern "C" fn(Pointer, *const c_char, usize, OnCall, Pointer, *mut Pointer) -> c_int,
    napi_set_named_property: unsafe extern "C" fn(Pointer, Pointer, *const c_char, Pointer) -> c_int,
    napi_add_finalizer: unsafe extern "C" fn(Pointer, Pointer, Pointer, OnFinalize, Pointer, *mut Pointer) -> c_int,
    napi_get_cb_info: unsafe extern "C" fn(Pointer, Pointer, *mut usize, *mut Pointer, *mut Pointer, *mut Pointer) -> c_int,
    napi_get_undefined: unsafe extern "C" fn(Pointer, *mut Pointer) -> c_int,
    napi_get_value_bool: unsafe extern "C" fn(Pointer, Pointer, *mut bool) -> c_int,
    napi_call_function: unsafe extern "C" fn(Pointer, Pointer, Pointer, usize, *const Pointer, *mut Pointer) -> c_int,
    napi_get_and_clear_last_exception: unsafe extern "C" fn(Pointer, *mut Pointer) -> c_int,
    napi_fatal_exception: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    napi_add_env_cleanup_hook: unsafe extern "C" fn(Pointer, OnCleanup, Pointer) -> c_int,
    napi_remove_env_cleanup_hook: unsafe extern "C" fn(Pointer, OnCleanup, Pointer) -> c_int,
    napi_async_init: unsafe extern "C" fn(Pointer, Pointer, Pointer, *mut Pointer) -> c_int,
    napi_async_destroy: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    napi_open_handle_scope: unsafe extern "C" fn(Pointer, *mut Pointer) -> c_int,
    napi_close_handle_scope: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    napi_open_callback_scope: unsafe extern "C" fn(Pointer, Pointer, Pointer, *mut Pointer) -> c_int,
    napi_close_callback_scope: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
}

pub(super) fn symbols() -> io::Result<&'static Symbols> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS.get_or_init(Symbols::load).as_ref().ok_or_else(|| {
        io::Error::new(io::ErrorKind::Unsupported, "this runtime is not Node: it hides libuv")
    })
}

/// A panic must not unwind into C; Rust's hook has already written it to stderr.
pub(super) fn catch_panic(run: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(run));
}
