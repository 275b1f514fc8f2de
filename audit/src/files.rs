//! The few file operations that durability rests on, behind a trait so that tests can make each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens files for appending and makes folder entries durable.
pub trait Files: Send + Sync {
    /// Opens for appending; creates with mode 0600 where there is none.
    ///
    /// # Errors
    /// The system's.
    fn append(&self, path: &Path) -> io::Result<Box<dyn Handle>>;

    /// Makes created, renamed and removed names in `dir` durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file open for appending.
pub trait Handle: Send + Sync {
    /// Writes at the end; may write less than it was given.
    ///
    /// # Errors
    /// The system's.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes everything written durable (`fdatasync`).
    ///
    /// # Errors
    /// The system's. Never call it again after an error: the kernel forgets what it failed to write.
    fn sync(&self) -> io::Result<()>;

    /// Reserves `len` bytes from `offset` without changing the file's length (`fallocate(KEEP_SIZE)`).
    ///
    /// # Errors
    /// `StorageFull`, `Unsupported`, or another of the system's.
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Cuts the file to `len` bytes, which gives back reserved space too.
    ///
    /// # Errors
    /// The system's.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Neither follows a symbolic link in the last name nor waits for the other end of a FIFO.
pub(crate) fn no_follow() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Opens a regular file for reading. Whoever can write a log's folder must not make its reader hang on a FIFO, or read a device or
/// another file through a link.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let irregular = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file, but a link, a FIFO, a device or a folder");
    // Looked at before too, since opening a device can have effects; and after, since it may have been swapped in between.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(irregular());
    }
    let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// Writes all of `bytes`, over short writes and interruptions.
pub(crate) fn write_all(file: &dyn Handle, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles;

impl Files for RealFiles {
    fn append(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(no_follow()).open(path)?))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl Handle for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        Write::write(&mut file, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(self, rustix::fs::FallocateFlags::KEEP_SIZE, offset, len)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}
