//! Counts the datagrams between the driver and an agent.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::UdpSocket, task::JoinHandle};

/// Stands between; ends when dropped.
pub struct Proxy {
    /// Where the driver finds it.
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    answers: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Stands in front of `agent`.
    pub async fn to(agent: SocketAddr) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = front.local_addr().unwrap();
        let (requests, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (asked, answered) = (Arc::clone(&requests), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
            let mut buffer = vec![0; 65_535];
            loop {
                // A client that has closed its socket shows as an error of the next receive.
                let Ok((length, client)) = front.recv_from(&mut buffer).await else { continue };
                asked.fetch_add(1, Ordering::SeqCst);
                let back = if let Some(back) = backs.get(&client) {
                    Arc::clone(back)
                } else {
                    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                    back.connect(agent).await.unwrap();
                    backs.insert(client, Arc::clone(&back));
                    let (from, front, answered) = (Arc::clone(&back), Arc::clone(&front), Arc::clone(&answered));
                    tokio::spawn(async move {
                        let mut buffer = vec![0; 65_535];
                        while let Ok(length) = from.recv(&mut buffer).await {
                            answered.fetch_add(1, Ordering::SeqCst);
                            front.send_to(&buffer[..length], client).await.unwrap();
                        }
                    });
                    back
                };
                back.send(&buffer[..length]).await.unwrap();
            }
        });
        Self { address, requests, answers, task }
    }

    /// Requests and answers since the last call.
    pub fn take(&self) -> (usize, usize) {
        (self.requests.swap(0, Ordering::SeqCst), self.answers.swap(0, Ordering::SeqCst))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
