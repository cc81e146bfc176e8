// The files of this machine as one side of a copy.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "file_tree.hpp"

namespace benchfs::tools {
namespace {

int result_of(int returned) {
  return returned < 0 ? -errno : 0;
}

std::int64_t ns_of(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

timespec time_of(std::int64_t ns) {
  const std::int64_t rest = (ns % 1'000'000'000 + 1'000'000'000) % 1'000'000'000;
  timespec time{};
  time.tv_sec = (ns - rest) / 1'000'000'000;
  time.tv_nsec = rest;
  return time;
}

Node node_of(const struct ::stat& st) {
  Node node;
  node.device = st.st_dev;
  node.inode = st.st_ino;
  node.size = static_cast<std::uint64_t>(st.st_size);
  node.mode = st.st_mode;
  node.uid = st.st_uid;
  node.gid = st.st_gid;
  node.atime_ns = ns_of(st.st_atim);
  node.mtime_ns = ns_of(st.st_mtim);
  return node;
}

/// Repeats `call(done)`, which moves some of what is left, until all is moved or it gives 0.
template <class Call>
std::int64_t repeat(std::size_t bytes, Call call) {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t moved = call(done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return -errno;
    if (moved == 0) break;
    done += static_cast<std::size_t>(moved);
  }
  return static_cast<std::int64_t>(done);
}

class LocalFile final : public TreeFile {
 public:
  explicit LocalFile(int fd) : fd_(fd) {}
  ~LocalFile() override {
    if (fd_ >= 0) ::close(fd_);
  }
  std::int64_t read(char* into, std::size_t bytes, std::uint64_t at) override {
    return repeat(bytes, [&](std::size_t done) {
      return ::pread(fd_, into + done, bytes - done, static_cast<off_t>(at + done));
    });
  }
  std::int64_t write(const char* from, std::size_t bytes, std::uint64_t at) override {
    return repeat(bytes, [&](std::size_t done) {
      return ::pwrite(fd_, from + done, bytes - done, static_cast<off_t>(at + done));
    });
  }
  bool is_hole(std::uint64_t at, std::uint64_t bytes) override {
    const off_t data = ::lseek(fd_, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) return errno == ENXIO;
    return static_cast<std::uint64_t>(data) >= at + bytes;
  }
  int set_size(std::uint64_t size) override {
    return result_of(::ftruncate(fd_, static_cast<off_t>(size)));
  }
  int sync() override {
    const int synced = result_of(::fsync(fd_));
    if (synced == 0) ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
    return synced;
  }
  int close() override { return result_of(::close(std::exchange(fd_, -1))); }

 private:
  int fd_;
};

class Stream final : public TreeFile {
 public:
  Stream(int fd, bool own) : fd_(fd), own_(own) {}
  ~Stream() override {
    if (own_) ::close(fd_);
  }
  std::int64_t read(char* into, std::size_t bytes, std::uint64_t) override {
    return repeat(bytes, [&](std::size_t done) { return ::read(fd_, into + done, bytes - done); });
  }
  std::int64_t write(const char* from, std::size_t bytes, std::uint64_t) override {
    return repeat(bytes, [&](std::size_t done) { return ::write(fd_, from + done, bytes - done); });
  }
  bool is_hole(std::uint64_t, std::uint64_t) override { return false; }
  int set_size(std::uint64_t) override { return -ESPIPE; }
  int sync() override { return 0; }
  int close() override { return std::exchange(own_, false) ? result_of(::close(fd_)) : 0; }

 private:
  int fd_;
  bool own_;
};

class LocalTree final : public FileTree {
 public:
  int stat(const std::string& path, bool follow, Node& node) override {
    struct ::stat st {};
    const int found = ::fstatat(AT_FDCWD, path.c_str(), &st, follow ? 0 : AT_SYMLINK_NOFOLLOW);
    if (found == 0) node = node_of(st);
    return result_of(found);
  }
  int list(const std::string& path,
           const std::function<void(std::string, const Node&)>& visit) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    if (directory == nullptr) return -errno;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(directory.get());
      if (entry == nullptr) return -errno;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct ::stat st {};
      if (::fstatat(::dirfd(directory.get()), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
        visit(name, node_of(st));
      } else if (errno != ENOENT) {  // else removed meanwhile
        return -errno;
      }
    }
  }
  int open(const std::string& path, int flags, std::uint32_t mode,
           std::unique_ptr<TreeFile>& file) override {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd < 0) return -errno;
    struct ::stat st {};
    const bool has_places = ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    file = has_places ? std::unique_ptr<TreeFile>(std::make_unique<LocalFile>(fd))
                      : std::make_unique<Stream>(fd, true);
    return 0;
  }
  int make_directory(const std::string& path, std::uint32_t mode) override {
    return result_of(::mkdir(path.c_str(), mode));
  }
  int make_link(const std::string& target, const std::string& path) override {
    return result_of(::symlink(target.c_str(), path.c_str()));
  }
  int read_link(const std::string& path, std::string& target) override {
    char buffer[4096];
    const ssize_t bytes = ::readlink(path.c_str(), buffer, sizeof(buffer));
    if (bytes < 0) return -errno;
    target.assign(buffer, static_cast<std::size_t>(bytes));
    return 0;
  }
  int remove(const std::string& path) override { return result_of(::unlink(path.c_str())); }
  int set_mode(const std::string& path, std::uint32_t mode) override {
    return result_of(::chmod(path.c_str(), mode));
  }
  int set_owner(const std::string& path, std::uint32_t uid, std::uint32_t gid) override {
    return result_of(::lchown(path.c_str(), uid, gid));
  }
  int set_times(const std::string& path, std::int64_t atime_ns, std::int64_t mtime_ns) override {
    const timespec times[] = {time_of(atime_ns), time_of(mtime_ns)};
    return result_of(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW));
  }
  int xattr_names(const std::string& path, std::vector<std::string>& names) override {
    std::string list(65536, '\0');  // XATTR_LIST_MAX
    const ssize_t bytes = ::listxattr(path.c_str(), list.data(), list.size());
    if (bytes < 0) return -errno;
    const std::size_t end = static_cast<std::size_t>(bytes);
    for (std::size_t at = 0; at < end;) {
      const std::string name = list.c_str() + at;
      at += name.size() + 1;
      if (name.starts_with("user.")) names.push_back(name);
    }
    return 0;
  }
  int get_xattr(const std::string& path, const std::string& name, std::string& value) override {
    value.resize(65536);  // XATTR_SIZE_MAX
    const ssize_t bytes = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (bytes < 0) return -errno;
    value.resize(static_cast<std::size_t>(bytes));
    return 0;
  }
  int set_xattr(const std::string& path, const std::string& name,
                const std::string& value) override {
    return result_of(::setxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0));
  }
  std::string explain(std::int64_t error) const override {
    return std::strerror(static_cast<int>(-error));
  }
  std::string shown(const std::string& path) const override { return path; }
};

}  // namespace

std::unique_ptr<FileTree> local_tree() {
  return std::make_unique<LocalTree>();
}

std::unique_ptr<TreeFile> stream_of(int fd) {
  return std::make_unique<Stream>(fd, false);
}

}  // namespace benchfs::tools
