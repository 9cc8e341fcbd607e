//! Frames of zstd, one after the other, as one stream.

use std::error::Error;
use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Unpacks what a source holds, and compares lengths and checksums with those that the frames name.
pub(crate) struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    /// How much of the present frame has been unpacked, if there is one.
    frame: Option<u64>,
}

impl<R: BufRead> Frames<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, decoder: FrameDecoder::new(), frame: None }
    }

    /// Begins with the next frame; one that may be skipped is.
    fn open(&mut self) -> io::Result<()> {
        match self.decoder.init(&mut self.source) {
            Ok(()) => self.frame = Some(0),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = u64::from(length);
                let skipped = io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
                if skipped < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(of_source(error)),
        }
        Ok(())
    }

    /// Unpacks until there is something to take, or the frame is over.
    fn advance(&mut self) -> io::Result<()> {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            let step = BlockDecodingStrategy::UptoBlocks(1);
            self.decoder.decode_blocks(&mut self.source, step).map_err(of_source)?;
        }
        Ok(())
    }

    /// Ends a frame of which so much was unpacked.
    fn close(&mut self, unpacked: u64) -> io::Result<()> {
        self.frame = None;
        let (length, sum) = (self.decoder.content_size(), self.decoder.get_checksum_from_data());
        // The decoder says zero for a frame that names no length.
        if length != 0 && length != unpacked {
            return Err(wrong("the length of a frame is another than it names"));
        }
        if sum.is_some() && sum != self.decoder.get_calculated_checksum() {
            return Err(wrong("a checksum does not match"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        // Each turn takes something from the source, or is the last.
        loop {
            let Some(unpacked) = self.frame else {
                if self.source.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.open()?;
                continue;
            };
            self.advance()?;
            match self.decoder.read(into)? {
                0 => self.close(unpacked)?,
                more => {
                    self.frame = Some(unpacked + more as u64);
                    return Ok(more);
                }
            }
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The source's error that a decoder's error stands for; else the decoder's verdict.
fn of_source(error: FrameDecoderError) -> io::Error {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(one) = cause {
        if let Some(read) = one.downcast_ref::<io::Error>() {
            return match read.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => read.kind().into(),
            };
        }
        cause = one.source();
    }
    wrong(&error.to_string())
}
