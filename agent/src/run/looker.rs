//! The task that looks at other devices, so that the loop does not wait for their answers.

use bellwether_logic::time::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::host::Host;
use crate::probe::ping::{Look, Pinger};
use crate::probe::targets;

/// The loop's end of the task, which ends when this is dropped.
pub(super) struct Looker {
    requests: mpsc::Sender<Timestamp>,
    pub looks: mpsc::Receiver<(Timestamp, Look)>,
    task: JoinHandle<()>,
}

impl Looker {
    pub(super) fn start(host: Host, config: Config) -> Self {
        let (requests, mut to_look) = mpsc::channel(1);
        let (sender, looks) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let mut pinger = Pinger::default();
            while let Some(time) = to_look.recv().await {
                let look = pinger.look(targets(&host, &config), time).await;
                if sender.send((time, look)).await.is_err() {
                    return;
                }
            }
        });
        Self { requests, looks, task }
    }

    /// Asks for a look; false if the last one is not done yet.
    pub(super) fn ask(&self, time: Timestamp) -> bool {
        self.requests.try_send(time).is_ok()
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
