//! JavaScript called from the event loop.

use std::{
    ffi::c_void,
    io,
    ptr::{self, NonNull},
};

use super::symbols::{NAPI_OK, NAPI_PENDING_EXCEPTION, Pointer, Symbols, catch_panic, symbols};

/// Enters JavaScript from the event loop, as Node does for its own callbacks: `process.nextTick`
/// and promise jobs run when the outermost scope ends.
pub struct CallbackContext {
    env: Pointer,
    context: NonNull<c_void>,
    symbols: &'static Symbols,
}

impl CallbackContext {
    /// `name` is what `async_hooks` shows. Call this from JavaScript.
    ///
    /// The caller promises that `env` is its environment, and outlives the context.
    ///
    /// # Errors
    /// When the environment is ending, or the runtime is not Node.
    pub(crate) fn new(env: *mut c_void, name: &str) -> io::Result<Self> {
        let symbols = symbols()?;
        let mut context = ptr::null_mut();
        let mut label = ptr::null_mut();
        let failed = || io::Error::other("the JavaScript environment is ending");
        // SAFETY: the environment is running, with a handle scope of the call we are in.
        unsafe {
            let name = (name.as_ptr().cast(), name.len());
            if (symbols.napi_create_string_utf8)(env, name.0, name.1, &raw mut label) != NAPI_OK
                || (symbols.napi_async_init)(env, ptr::null_mut(), label, &raw mut context)
                    != NAPI_OK
            {
                return Err(failed());
            }
        }
        let context = NonNull::new(context).ok_or_else(failed)?;
        Ok(Self { env, context, symbols })
    }

    /// Runs `run` inside the scopes. Calls into JavaScript fail when the environment is ending.
    pub fn enter(&self, run: impl FnOnce()) {
        let mut handles = ptr::null_mut();
        let mut callback = ptr::null_mut();
        // SAFETY: the environment outlives us, and we are on its thread. The resource object is
        // ignored by Node (node_api.cc); scopes are closed in the reverse order.
        unsafe {
            if (self.symbols.napi_open_handle_scope)(self.env, &raw mut handles) != NAPI_OK {
                return;
            }
            let context = self.context.as_ptr();
            let opened = (self.symbols.napi_open_callback_scope)(
                self.env,
                ptr::null_mut(),
                context,
                &raw mut callback,
            );
            if opened == NAPI_OK {
                catch_panic(run);
                (self.symbols.napi_close_callback_scope)(self.env, callback);
            }
            (self.symbols.napi_close_handle_scope)(self.env, handles);
        }
    }
}

impl Drop for CallbackContext {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once, on its thread and before its environment ends.
        unsafe { (self.symbols.napi_async_destroy)(self.env, self.context.as_ptr()) };
    }
}

/// The outcome of calling a JavaScript function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// It returned something; whether that was `true`.
    Returned(bool),
    /// It threw, which has been reported as an uncaught exception, or the environment is ending.
    Failed,
}

/// Calls a JavaScript function. A value that it throws is reported as an uncaught exception, unchanged
/// and unread.
///
/// The caller promises that all three are alive, and belong to the environment of this thread.
pub(crate) fn call_function(env: Pointer, function: Pointer, arguments: &[Pointer]) -> Called {
    let Ok(symbols) = symbols() else { return Called::Failed };
    let (mut this, mut returned) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: values of this environment, as promised, on its thread.
    let status = unsafe {
        (symbols.napi_get_undefined)(env, &raw mut this);
        let (count, first) = (arguments.len(), arguments.as_ptr());
        (symbols.napi_call_function)(env, this, function, count, first, &raw mut returned)
    };
    match status {
        NAPI_OK => {
            let mut is_true = false;
            // SAFETY: as above. It is left alone where the value is not a boolean.
            unsafe { (symbols.napi_get_value_bool)(env, returned, &raw mut is_true) };
            Called::Returned(is_true)
        }
        NAPI_PENDING_EXCEPTION => {
            let mut thrown = ptr::null_mut();
            // SAFETY: as above.
            let cleared =
                unsafe { (symbols.napi_get_and_clear_last_exception)(env, &raw mut thrown) };
            if cleared == NAPI_OK {
                report_uncaught(env, thrown);
            }
            Called::Failed
        }
        _ => Called::Failed,
    }
}

/// Reports an uncaught exception, which ends the process unless the user has a handler.
///
/// The caller promises that both are alive, and belong to the environment of this thread.
pub(crate) fn report_uncaught(env: Pointer, thrown: Pointer) {
    if let Ok(symbols) = symbols() {
        // SAFETY: as promised.
        unsafe { (symbols.napi_fatal_exception)(env, thrown) };
    }
}
