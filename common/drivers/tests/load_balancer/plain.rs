//! The plain load balancer.

use hostler_drivers::memory::MemoryStore;
use hostler_drivers::{LoadBalancer, PlainLoadBalancer, StateStore, TrafficServer, TrafficState};
use serde_json::json;

use crate::contract::{Subject, holds};

#[derive(Default)]
struct Plain {
    store: MemoryStore,
    driver: Option<PlainLoadBalancer<MemoryStore>>,
}

impl Plain {
    fn plain(&self) -> &PlainLoadBalancer<MemoryStore> {
        self.driver.as_ref().unwrap()
    }

    async fn set_sessions(&self, host: &str, sessions: u64) {
        let mut row = self.plain().row(&self.server(host)).await.unwrap();
        row.sessions = sessions;
        let key = PlainLoadBalancer::<MemoryStore>::key(&self.server(host));
        self.store.put(&key, json!(row)).await.unwrap();
    }
}

impl Subject for Plain {
    fn driver(&self) -> &dyn LoadBalancer {
        self.plain()
    }

    fn server(&self, host: &str) -> TrafficServer {
        let (backend, address) = ("web".to_owned(), "10.0.0.1:80".to_owned());
        TrafficServer { backend, host: host.to_owned(), address }
    }

    fn counts_requests(&self) -> bool {
        true
    }

    async fn takes_requests(&self, host: &str) -> bool {
        self.plain().row(&self.server(host)).await.unwrap().state == TrafficState::In
    }

    async fn begin_request(&mut self, host: &str) {
        self.set_sessions(host, 1).await;
    }

    async fn end_request(&mut self, host: &str) -> bool {
        let had = self.plain().row(&self.server(host)).await.unwrap().sessions > 0;
        self.set_sessions(host, 0).await;
        had
    }
}

#[tokio::test]
async fn the_plain_one_keeps_the_contract() {
    let store = MemoryStore::default();
    let driver = Some(PlainLoadBalancer::new(store.clone()));
    holds(Plain { store, driver }).await;
}

#[tokio::test]
async fn it_counts_what_changed_something() {
    let store = MemoryStore::default();
    let subject = Plain { driver: Some(PlainLoadBalancer::new(store.clone())), store };
    let server = subject.server("h-1");
    for _ in 0..2 {
        subject.driver().join(&server).await.unwrap();
    }
    for _ in 0..2 {
        subject.driver().drain(&server).await.unwrap();
        subject.driver().leave(&server).await.unwrap();
    }
    let row = subject.plain().row(&server).await.unwrap();
    assert_eq!((row.joined, row.drained, row.left, row.state), (1, 1, 1, TrafficState::Out));
    assert_eq!(subject.store.rows()["traffic/web/h-1"]["joined"], 1);
}
