// The folder below the data directory that file data are in, and the file system that it is on.
#pragma once
#include <string>

#include "base/status.hpp"
#include "storage/chunk_store.hpp"

namespace benchfs {

std::string chunks_folder(const std::string& data_dir);
/// A descriptor of it, made if it is missing. Errors are logged with the path.
Result<int> open_chunks_folder(const std::string& data_dir);
/// Whether an open file or folder is on a file system in memory: tmpfs or ramfs.
bool is_memory(int fd);
Result<Device> device_of(int folder_fd);

}  // namespace benchfs
