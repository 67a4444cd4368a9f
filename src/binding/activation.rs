use napi_derive::napi;

/// A descriptor that the service manager has given to this process.
#[napi(object, object_to_js = false)]
pub struct ActivatedDescriptor {
    /// Its number.
    pub fd: i32,
    /// Its name; empty if it has none.
    pub name: String,
}

/// One that can't be taken over.
#[napi(object, object_from_js = false)]
pub struct RefusedDescriptor {
    /// Its number.
    pub fd: i32,
    /// Why not; completes the sentence after "it".
    pub reason: String,
}
