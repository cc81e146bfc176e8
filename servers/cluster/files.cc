// Atomic creation and replacement of small files.
#include "cluster/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "net/registry_dir.hpp"
#include "net/socket.hpp"

namespace benchfs {
namespace {

std::unexpected<std::string> refuse(std::string_view path, int err) {
  return std::unexpected(fmt::format("{}: {}", path, std::strerror(err)));
}

/// 0 or an errno.
int write_whole(const std::string& path, std::string_view text) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return errno;
  while (!text.empty()) {
    const ssize_t put = write(file.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return fsync(file.get()) == 0 ? 0 : errno;
}

/// The rename or link itself, durably. A file system that cannot sync a directory keeps it in order
/// by itself.
void sync_directory(const std::string& directory) {
  const Fd dir(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir) fsync(dir.get());
}

std::string temporary_name(const std::string& directory, std::string_view name,
                           std::string_view tag) {
  return fmt::format("{}/{}{}.{}", directory, registry_names::kTemporaryPrefix, name, tag);
}

}  // namespace

std::expected<void, std::string> make_directories(const std::string& directory) {
  for (std::size_t slash = directory.find('/', 1);; slash = directory.find('/', slash + 1)) {
    const std::string part = directory.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      const int err = errno;
      struct stat st {};  // a parent on a read-only file system gives EROFS even though it exists
      if (stat(part.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return refuse(part, err);
    }
    if (slash == std::string::npos) return {};
  }
}

std::expected<void, std::string> replace_file(const std::string& directory, std::string_view name,
                                              std::string_view text, std::string_view tag) {
  const std::string path = fmt::format("{}/{}", directory, name);
  const std::string temporary = temporary_name(directory, name, tag);
  int err = write_whole(temporary, text);
  if (err == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) err = errno;
  if (err != 0) {
    unlink(temporary.c_str());
    return refuse(path, err);
  }
  sync_directory(directory);
  return {};
}

std::expected<bool, std::string> create_file(const std::string& directory, std::string_view name,
                                             std::string_view text, std::string_view tag) {
  const std::string path = fmt::format("{}/{}", directory, name);
  const std::string temporary = temporary_name(directory, name, tag);
  int err = write_whole(temporary, text);
  if (err == 0 && link(temporary.c_str(), path.c_str()) != 0) err = errno;
  if (err == EPERM || err == EOPNOTSUPP || err == ENOSYS) {
    // A file system without hard links: the name is claimed empty, then filled by the rename.
    const Fd claim(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    err = !claim || std::rename(temporary.c_str(), path.c_str()) != 0 ? errno : 0;
  }
  unlink(temporary.c_str());
  if (err == EEXIST) return false;
  if (err != 0) return refuse(path, err);
  sync_directory(directory);
  return true;
}

}  // namespace benchfs
