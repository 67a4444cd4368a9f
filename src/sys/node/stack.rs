//! The JavaScript stack of an environment whose thread is busy, asked for by another thread.
//!
//! Node and V8 have no C function for this, so C++ functions are looked up by their mangled names. They pass
//! pointers and integers only: a `v8::Local` is one pointer, and a `v8::Location` two integers in one
//! register. Where one of them is not exported, there is no stack.

use std::{
    ffi::{c_char, c_int, c_void},
    fmt::Write as _,
    ptr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::symbols::{NAPI_OK, Pointer, Symbols, catch_panic, load_optional, symbols};

/// How many frames of a stack are told, from the innermost.
const FRAMES: c_int = 32;

/// `kDetailed` of `v8::StackTrace::StackTraceOptions`.
const DETAILED: c_int = 0x7F;

/// The longest name, in bytes, with a zero at its end.
const LONGEST_NAME: usize = 512;

type OnInterrupt = unsafe extern "C" fn(Pointer);

load_optional! {
    /// C++ functions of Node and V8.
    struct Interrupts;
    current_isolate = "_ZN2v87Isolate10GetCurrentEv": unsafe extern "C" fn() -> Pointer,
    current_context = "_ZN2v87Isolate17GetCurrentContextEv": unsafe extern "C" fn(Pointer) -> Pointer,
    current_environment = "_ZN4node21GetCurrentEnvironmentEN2v85LocalINS0_7ContextEEE":
        unsafe extern "C" fn(Pointer) -> Pointer,
    request_interrupt = "_ZN4node16RequestInterruptEPNS_11EnvironmentEPFvPvES2_":
        unsafe extern "C" fn(Pointer, OnInterrupt, Pointer),
    current_stack = "_ZN2v810StackTrace17CurrentStackTraceEPNS_7IsolateEiNS0_17StackTraceOptionsE":
        unsafe extern "C" fn(Pointer, c_int, c_int) -> Pointer,
    frame_count = "_ZNK2v810StackTrace13GetFrameCountEv": unsafe extern "C" fn(Pointer) -> c_int,
    frame = "_ZNK2v810StackTrace8GetFrameEPNS_7IsolateEj":
        unsafe extern "C" fn(Pointer, Pointer, u32) -> Pointer,
    function_name = "_ZNK2v810StackFrame15GetFunctionNameEv": unsafe extern "C" fn(Pointer) -> Pointer,
    script_name = "_ZNK2v810StackFrame24GetScriptNameOrSourceURLEv":
        unsafe extern "C" fn(Pointer) -> Pointer,
    location = "_ZNK2v810StackFrame11GetLocationEv": unsafe extern "C" fn(Pointer) -> u64,
}

/// Asks the thread of an environment for its JavaScript stack. Clones ask the same environment.
#[derive(Clone)]
pub struct StackProbe(Arc<Shared>);

/// What the asking thread and the environment's thread share. An interrupt that Node has not run yet owns a
/// reference too, so it may run late, or never.
struct Shared {
    functions: &'static Interrupts,
    symbols: &'static Symbols,
    isolate: Address,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Clone, Copy)]
struct Address(Pointer);

// SAFETY: an address, which the functions that take it may be given by any thread, or which is used on its
// own thread only.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

struct State {
    /// The environment, and Node-API's view of it; `None` once it is ending.
    environment: Option<(Address, Address)>,
    /// Whether Node has an interrupt that it has not run yet.
    is_requested: bool,
    /// What the last interrupt found, until it is taken.
    stack: Option<String>,
}

impl StackProbe {
    /// For the environment of this thread; `None` where a function is missing. The probe must be
    /// [closed](Self::close) when the environment ends.
    ///
    /// The caller promises that it is called from JavaScript, and that `env` belongs to that call.
    pub(crate) fn new(env: *mut c_void) -> Option<Self> {
        let (functions, symbols) = (Interrupts::get()?, symbols().ok()?);
        let mut scope = ptr::null_mut();
        // SAFETY: the environment is running, and this is its thread. The context lives in the scope, and is
        // only used there.
        let (isolate, environment) = unsafe {
            if (symbols.napi_open_handle_scope)(env, &raw mut scope) != NAPI_OK {
                return None;
            }
            let isolate = (functions.current_isolate)();
            let context = (functions.current_context)(isolate);
            let environment = match context.is_null() {
                true => ptr::null_mut(),
                false => (functions.current_environment)(context),
            };
            (symbols.napi_close_handle_scope)(env, scope);
            (isolate, environment)
        };
        let environment =
            (!environment.is_null()).then_some((Address(environment), Address(env)))?;
        let state = State { environment: Some(environment), is_requested: false, stack: None };
        let (isolate, state) = (Address(isolate), Mutex::new(state));
        Some(Self(Arc::new(Shared {
            functions,
            symbols,
            isolate,
            state,
            answered: Condvar::new(),
        })))
    }

    /// The environment is ending: there is no stack from now on.
    pub fn close(&self) {
        self.0.state().environment = None;
    }

    /// The JavaScript stack of the environment's thread, innermost frame first, a line for each. `None` if
    /// the thread runs no JavaScript, or does not answer in time. Call this from another thread, one at a
    /// time.
    pub fn stack(&self, within: Duration) -> Option<String> {
        let deadline = Instant::now() + within;
        let mut state = self.0.state();
        state.stack = None;
        let (environment, _) = state.environment?;
        if !std::mem::replace(&mut state.is_requested, true) {
            let shared = Arc::into_raw(Arc::clone(&self.0)).cast_mut().cast();
            // SAFETY: the environment lives, because it can't be closed while we hold the lock; Node takes
            // interrupts from any thread. `on_interrupt` takes the reference back.
            unsafe { (self.0.functions.request_interrupt)(environment.0, on_interrupt, shared) };
        }
        // A spurious wake-up, or one for an interrupt that was requested long ago, comes with its answer.
        while state.is_requested {
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.0.answered.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.stack.take().filter(|stack| !stack.is_empty())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // What it protects is valid at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs on the environment's thread, between two instructions of JavaScript or from the event loop. No
    /// JavaScript may run here.
    fn answer(&self) {
        let mut state = self.state();
        let environment = state.environment;
        let mut stack = String::new();
        if let Some((_, env)) = environment {
            let mut scope = ptr::null_mut();
            // SAFETY: the environment lives, as it is not closed, and this is its thread.
            if unsafe { (self.symbols.napi_open_handle_scope)(env.0, &raw mut scope) } == NAPI_OK {
                self.write_frames(env.0, &mut stack);
                // SAFETY: opened above.
                unsafe { (self.symbols.napi_close_handle_scope)(env.0, scope) };
            }
        }
        state.stack = Some(stack);
        state.is_requested = false;
        drop(state);
        self.answered.notify_all();
    }

    fn write_frames(&self, env: Pointer, stack: &mut String) {
        let Self { functions, isolate, .. } = self;
        // SAFETY: on the isolate's thread, inside a handle scope, in which all that is returned lives. Null is
        // checked for where a handle may be empty.
        unsafe {
            let trace = (functions.current_stack)(isolate.0, FRAMES, DETAILED);
            if trace.is_null() {
                return;
            }
            let count = (functions.frame_count)(trace).clamp(0, FRAMES).cast_unsigned();
            for index in 0..count {
                let frame = (functions.frame)(trace, isolate.0, index);
                if frame.is_null() {
                    return;
                }
                let function = self.text(env, (functions.function_name)(frame));
                let file = self.text(env, (functions.script_name)(frame));
                let location = (functions.location)(frame).to_ne_bytes();
                let (line, column) = location.split_at(size_of::<c_int>());
                let number = |bytes: &[u8]| {
                    bytes.try_into().map_or(0, c_int::from_ne_bytes).saturating_add(1)
                };
                let function = function.as_deref().unwrap_or("<anonymous>");
                let file = file.as_deref().unwrap_or("<anonymous>");
                let (line, column) = (number(line), number(column));
                // Writing to a string does not fail.
                let _ = writeln!(stack, "at {function} ({file}:{line}:{column})");
            }
        }
    }

    /// A string of V8's; `None` if it is empty, or is not a string.
    ///
    /// # Safety
    /// On the thread of `env`, inside a handle scope to which `string` belongs.
    unsafe fn text(&self, env: Pointer, string: Pointer) -> Option<String> {
        if string.is_null() {
            return None;
        }
        let mut text = [0_u8; LONGEST_NAME];
        let (start, room) = (text.as_mut_ptr().cast::<c_char>(), text.len());
        let mut length = 0;
        // SAFETY: as promised; a `napi_value` is what a `v8::Local` is. The room is as told.
        let status = unsafe {
            (self.symbols.napi_get_value_string_utf8)(env, string, start, room, &raw mut length)
        };
        let text = String::from_utf8_lossy(text.get(..length)?).replace(['\n', '\r'], " ");
        (status == NAPI_OK && !text.is_empty()).then_some(text)
    }
}

unsafe extern "C" fn on_interrupt(shared: Pointer) {
    // SAFETY: the reference that `stack` gave away, taken back once, because Node runs an interrupt once.
    let shared = unsafe { Arc::from_raw(shared.cast::<Shared>()) };
    catch_panic(|| shared.answer());
}
