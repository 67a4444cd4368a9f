//! Code that runs when a JavaScript environment ends.

use std::{ffi::c_void, io, rc::Rc};

use super::symbols::{NAPI_OK, Pointer, Symbols, catch_panic, symbols};

type Cleanup = Rc<dyn Fn()>;

/// Runs code when the environment ends, unless dropped before. It may drop itself.
pub struct CleanupHook {
    env: Pointer,
    run: *mut Cleanup,
    symbols: &'static Symbols,
}

impl CleanupHook {
    /// The caller promises that `env` is the environment of this thread, and outlives the hook.
    ///
    /// # Errors
    /// When the environment is ending, or the runtime is not Node.
    pub(crate) fn new(env: *mut c_void, run: impl Fn() + 'static) -> io::Result<Self> {
        let symbols = symbols()?;
        let run: *mut Cleanup = Box::into_raw(Box::new(Rc::new(run)));
        let hook = Self { env, run, symbols };
        // SAFETY: the environment is running; what `run` points to lives as long as the hook is set.
        let status =
            unsafe { (symbols.napi_add_env_cleanup_hook)(env, on_cleanup, hook.run.cast()) };
        let failed = || io::Error::other("the JavaScript environment is ending");
        if status == NAPI_OK { Ok(hook) } else { Err(failed()) }
    }
}

impl Drop for CleanupHook {
    fn drop(&mut self) {
        // SAFETY: set in `new` with the same arguments, and removed before what it points to is freed. To
        // remove a hook that has not been set, or has run, does nothing.
        unsafe {
            (self.symbols.napi_remove_env_cleanup_hook)(self.env, on_cleanup, self.run.cast());
            drop(Box::from_raw(self.run));
        }
    }
}

unsafe extern "C" fn on_cleanup(run: Pointer) {
    // SAFETY: the box of a `CleanupHook` that has not been dropped. The clone lives while it runs, even if
    // it drops the hook.
    let run = unsafe { Rc::clone(&*run.cast::<Cleanup>()) };
    catch_panic(|| run());
}
