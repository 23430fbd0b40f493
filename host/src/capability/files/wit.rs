//! The adapter to `wasi:filesystem`: wasmtime-wasi's own, with a look at each call before. What that keeps already, paths
//! within their folders and folders that are only read, is not kept again here.
//!
//! Held here: how much is written, that a file is a file (a pipe would keep a thread for ever, and a device is no file of a
//! flow), and that there are no links: what a run leaves is cleared away by the host, which should meet files alone.

use bytes::Bytes;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, FsResult, OutputStream, Pollable, StreamError, StreamResult,
};

use super::Files;
use crate::boundary::denial::shown;
use crate::boundary::facts::NodeUse;
use crate::boundary::quota::{Quota, Spent};
use crate::boundary::{Capability, GuestCalls, Lend, Lent};

pub(super) fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    // In the place of wasmtime-wasi's own, which is linked with the rest of WASI.
    linker.allow_shadowing(true);
    types::add_to_linker::<T, Lent>(linker, T::lend)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Functions that are wasmtime-wasi's as they are, but for the count.
///
/// `plain! { sync(fd: Resource<Descriptor>) -> FsResult<()>; }` becomes the function `sync` of the trait, which counts a call
/// and makes it.
macro_rules! plain {
    ($($name:ident($($argument:ident: $type:ty),*) -> $reply:ty;)+) => {
        $(
            async fn $name(&mut self, $($argument: $type),*) -> $reply {
                self.run.used.file_call();
                self.wasi().$name($($argument),*).await
            }
        )+
    };
}

/// The same of functions that change something, or lead somewhere: a refusal is a denial.
macro_rules! guarded {
    ($($name:ident($($argument:ident: $type:ty),*), $path:ident;)+) => {
        $(
            async fn $name(&mut self, $($argument: $type),*) -> FsResult<()> {
                self.run.used.file_call();
                let told = shown(&$path).to_owned();
                let result = self.wasi().$name($($argument),*).await;
                self.look(result, &told)
            }
        )+
    };
}

impl GuestCalls<'_> {
    fn wasi(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView { ctx: self.files, table: self.table }
    }

    /// Tells of what was refused for want of a grant.
    fn look<T>(&self, result: FsResult<T>, path: &str) -> FsResult<T> {
        if let Err(error) = &result
            && let Some(ErrorCode::NotPermitted | ErrorCode::ReadOnly) = error.downcast_ref()
        {
            let node = self.run.node.as_str();
            let what = if path.is_empty() {
                "this to a file that it may read".to_owned()
            } else {
                format!("this to {path:?}")
            };
            let reason = format!("node {node:?} may not do {what}; `grants.files` of the node names its folders");
            self.run.denied(Files::NAME, &reason);
        }
        result
    }

    fn refused<T>(&self, path: &str) -> FsResult<T> {
        self.look(Err(ErrorCode::NotPermitted.into()), shown(path))
    }

    /// What `output` is, within the quota of the run.
    fn within_quota(
        &mut self,
        output: Resource<DynOutputStream>,
        offset: Option<u64>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.table.delete(output)?;
        let metered = Metered { inner, quota: self.run.quota.clone(), used: self.run.used.clone(), at: offset };
        let output: DynOutputStream = Box::new(metered);
        Ok(self.table.push(output)?)
    }
}

fn spent(_: Spent) -> FsError {
    ErrorCode::Quota.into()
}

/// The same file or folder once more, for a look at it before the call.
fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

impl types::Host for GuestCalls<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.wasi().convert_error_code(error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        if self.table.get(&error)?.is::<OutOfQuota>() {
            return Ok(Some(ErrorCode::Quota));
        }
        self.wasi().filesystem_error_code(error)
    }
}

impl HostDescriptor for GuestCalls<'_> {
    plain! {
        advise(fd: Resource<Descriptor>, offset: Filesize, length: Filesize, advice: Advice) -> FsResult<()>;
        sync_data(fd: Resource<Descriptor>) -> FsResult<()>;
        sync(fd: Resource<Descriptor>) -> FsResult<()>;
        get_flags(fd: Resource<Descriptor>) -> FsResult<DescriptorFlags>;
        get_type(fd: Resource<Descriptor>) -> FsResult<DescriptorType>;
        read(fd: Resource<Descriptor>, length: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)>;
        read_directory(fd: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>>;
        stat(fd: Resource<Descriptor>) -> FsResult<DescriptorStat>;
        is_same_object(one: Resource<Descriptor>, other: Resource<Descriptor>) -> wasmtime::Result<bool>;
        metadata_hash(fd: Resource<Descriptor>) -> FsResult<MetadataHashValue>;
    }

    guarded! {
        remove_directory_at(fd: Resource<Descriptor>, path: String), path;
        unlink_file_at(fd: Resource<Descriptor>, path: String), path;
        set_times_at(fd: Resource<Descriptor>, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp), path;
        rename_at(fd: Resource<Descriptor>, old: String, folder: Resource<Descriptor>, new: String), new;
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.run.used.file_call();
        let result = self.wasi().set_times(fd, accessed, modified).await;
        self.look(result, "")
    }

    async fn stat_at(&mut self, fd: Resource<Descriptor>, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        self.run.used.file_call();
        let told = shown(&path).to_owned();
        let result = self.wasi().stat_at(fd, flags, path).await;
        self.look(result, &told)
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        self.run.used.file_call();
        let told = shown(&path).to_owned();
        let result = self.wasi().metadata_hash_at(fd, flags, path).await;
        self.look(result, &told)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.run.used.file_call();
        let told = shown(&path).to_owned();
        let result = self.wasi().readlink_at(fd, path).await;
        self.look(result, &told)
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        self.run.used.file_call();
        let result = if self.wasi().get_flags(again(&fd)).await?.contains(DescriptorFlags::WRITE) {
            self.run.quota.hold(size).map_err(spent)?;
            self.wasi().set_size(fd, size).await
        } else {
            Err(ErrorCode::NotPermitted.into())
        };
        self.look(result, "")
    }

    async fn write(&mut self, fd: Resource<Descriptor>, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        self.run.used.file_call();
        let length = bytes.len() as u64;
        let result = if self.wasi().get_flags(again(&fd)).await?.contains(DescriptorFlags::WRITE) {
            self.run.quota.hold(offset.saturating_add(length)).map_err(spent)?;
            self.run.quota.take(length).map_err(spent)?;
            self.run.used.file_written(length);
            self.wasi().write(fd, bytes, offset).await
        } else {
            Err(ErrorCode::NotPermitted.into())
        };
        self.look(result, "")
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.run.used.file_call();
        let told = shown(&path).to_owned();
        self.run.quota.take_file().map_err(spent)?;
        let result = self.wasi().create_directory_at(fd, path).await;
        self.look(result, &told)
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        mode: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        self.run.used.file_call();
        let told = shown(&path).to_owned();
        let there = self.wasi().stat_at(again(&fd), flags, path.clone()).await;
        match there.map(|there| there.type_) {
            // A link that is not followed is refused when it is opened.
            Ok(DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink) => {}
            Ok(_) => return self.refused(&path),
            Err(_) if open.contains(OpenFlags::CREATE) => self.run.quota.take_file().map_err(spent)?,
            Err(_) => {}
        }
        let result = self.wasi().open_at(fd, flags, path, open, mode).await;
        self.look(result, &told)
    }

    async fn link_at(
        &mut self,
        _: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        self.run.used.file_call();
        self.refused(&path)
    }

    async fn symlink_at(&mut self, _: Resource<Descriptor>, _: String, path: String) -> FsResult<()> {
        self.run.used.file_call();
        self.refused(&path)
    }

    fn read_via_stream(&mut self, fd: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.run.used.file_call();
        self.wasi().read_via_stream(fd, offset)
    }

    fn write_via_stream(&mut self, fd: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        self.run.used.file_call();
        let output = self.wasi().write_via_stream(fd, offset);
        let output = self.look(output, "")?;
        self.within_quota(output, Some(offset))
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        self.run.used.file_call();
        let output = self.wasi().append_via_stream(fd);
        let output = self.look(output, "")?;
        self.within_quota(output, None)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.wasi(), fd)
    }
}

impl HostDirectoryEntryStream for GuestCalls<'_> {
    plain! {
        read_directory_entry(stream: Resource<DirectoryEntryStream>) -> FsResult<Option<DirectoryEntry>>;
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.wasi(), stream)
    }
}

/// A file that is written to, within the quota of its run.
struct Metered {
    inner: DynOutputStream,
    quota: Quota,
    used: NodeUse,
    /// Where the next byte goes; none: to the end.
    at: Option<u64>,
}

/// A guest writes more than it may.
#[derive(Debug, thiserror::Error)]
#[error("the run has written all that it may")]
struct OutOfQuota;

#[async_trait]
impl OutputStream for Metered {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len() as u64;
        let out = |_| StreamError::LastOperationFailed(OutOfQuota.into());
        if let Some(at) = &mut self.at {
            *at = at.saturating_add(length);
            self.quota.hold(*at).map_err(out)?;
        }
        self.quota.take(length).map_err(out)?;
        self.used.file_written(length);
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Metered {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}
