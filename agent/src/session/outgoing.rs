//! What goes out: the conversation's own words first, then the streams' bytes, so that a slow line delays a dump and not a
//! sign of life.

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// Frames of streams that wait for the line; with those in the threads' hands they are all that a slow line makes us keep.
const WAITING: usize = 16;

/// The two queues' near ends.
#[derive(Debug, Clone)]
pub struct Outgoing {
    control: mpsc::UnboundedSender<Vec<u8>>,
    streams: mpsc::Sender<Vec<u8>>,
}

/// The two queues' far ends.
#[derive(Debug)]
pub struct Queues {
    control: mpsc::UnboundedReceiver<Vec<u8>>,
    streams: mpsc::Receiver<Vec<u8>>,
}

/// Returns both ends.
pub fn queues() -> (Outgoing, Queues) {
    let (control, to_say) = mpsc::unbounded_channel();
    let (streams, to_send) = mpsc::channel(WAITING);
    (Outgoing { control, streams }, Queues { control: to_say, streams: to_send })
}

impl Outgoing {
    /// Sends a frame of the conversation, before all that waits.
    pub fn control(&self, frame: Vec<u8>) {
        // When nothing is written any more, reading finds out.
        let _ = self.control.send(frame);
    }

    /// Returns the queue of the conversation, for others who may speak in it as long as it lasts.
    pub fn words(&self) -> mpsc::WeakUnboundedSender<Vec<u8>> {
        self.control.downgrade()
    }

    /// Returns the queue for streams' frames.
    pub fn streams(&self) -> mpsc::Sender<Vec<u8>> {
        self.streams.clone()
    }
}

/// Writes until the conversation is over and its last words have left, or until nobody takes anything.
pub async fn write(mut writer: impl AsyncWrite + Unpin, mut queues: Queues) {
    loop {
        let frame = tokio::select! {
            biased;
            said = queues.control.recv() => match said {
                Some(frame) => frame,
                None => return,
            },
            Some(frame) = queues.streams.recv() => frame,
        };
        if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
}
