//! An answer that is made once for all who ask for it at the same time.

use std::{cell::RefCell, rc::Rc};

use hyper::body::Bytes;
use tokio::sync::OnceCell;

use super::pace::Pace;

/// What operators ask for, and takes a while to make. So that a flood of requests does not keep others
/// waiting, all that come before the engine begins to make an answer get the same one. None gets an answer that
/// was begun before its request came.
#[derive(Default)]
pub(super) struct Shared {
    /// The answer that has not been begun, if it is wanted.
    next: RefCell<Option<Rc<OnceCell<Bytes>>>>,
}

impl Shared {
    /// The answer, which `make` makes if no other request does.
    pub(super) async fn get(&self, pace: &Pace, make: impl Future<Output = String>) -> Bytes {
        let wanted = Rc::clone(self.next.borrow_mut().get_or_insert_default());
        // If the client goes away that makes it, the next in the line does.
        let made = wanted.get_or_init(|| {
            pace.run(async {
                self.next.take();
                make.await.into()
            })
        });
        made.await.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::{
        runtime::Builder,
        task::{JoinHandle, LocalSet, spawn_local, yield_now},
    };

    use super::*;

    /// Runs requests, which `test` starts, for an answer that says how many were made before it.
    fn with_requests(test: impl AsyncFnOnce(&dyn Fn() -> JoinHandle<Bytes>)) {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let (shared, pace, made) = <(Rc<Shared>, Rc<Pace>, Rc<Cell<u32>>)>::default();
        let request = move || {
            let (shared, pace, made) = (Rc::clone(&shared), Rc::clone(&pace), Rc::clone(&made));
            spawn_local(async move {
                let make = async {
                    let number = made.get();
                    made.set(number + 1);
                    yield_now().await;
                    number.to_string()
                };
                shared.get(&pace, make).await
            })
        };
        LocalSet::new().block_on(&runtime, test(&request));
    }

    #[test]
    fn requests_that_wait_get_the_same_answer_which_is_begun_after_they_came() {
        with_requests(async |request| {
            let first = request();
            yield_now().await;
            let waiting = [request(), request(), request()];
            assert_eq!(first.await.unwrap(), "0");
            for one in waiting {
                assert_eq!(one.await.unwrap(), "1");
            }
            assert_eq!(request().await.unwrap(), "2");
        });
    }

    #[test]
    fn a_client_that_goes_away_leaves_the_answer_to_the_next() {
        with_requests(async |request| {
            let (first, second, third) = (request(), request(), request());
            yield_now().await;
            second.abort();
            assert_eq!(first.await.unwrap(), "0");
            assert_eq!(third.await.unwrap(), "1");
        });
    }
}
