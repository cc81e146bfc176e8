// Both sides of a copy behind one interface: the files of this machine, and those of the file
// system. All calls may be made by any thread.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "files.hpp"

namespace benchfs::tools {

/// What a path is. The device tells files of this machine apart whose inode numbers are equal.
struct Node {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::int64_t atime_ns = 0, mtime_ns = 0;
  bool same_as(const Node& other) const { return device == other.device && inode == other.inode; }
};

/// An open file. Counts and 0, or a negative errno.
class TreeFile {
 public:
  virtual ~TreeFile() = default;
  /// All that is there of the range: less than `bytes` only at the end.
  virtual std::int64_t read(char* into, std::size_t bytes, std::uint64_t at) = 0;
  /// All or an error.
  virtual std::int64_t write(const char* from, std::size_t bytes, std::uint64_t at) = 0;
  /// Whether the range is known to be without data.
  virtual bool is_hole(std::uint64_t at, std::uint64_t bytes) = 0;
  virtual int set_size(std::uint64_t size) = 0;
  /// To the device, so that what is read next comes from there where the system lets it.
  virtual int sync() = 0;
  /// Once; no other call follows.
  virtual int close() = 0;
};

/// Calls give 0 or more, or a negative errno, which explain() puts into words for the thread that
/// made the call.
class FileTree {
 public:
  virtual ~FileTree() = default;
  virtual int stat(const std::string& path, bool follow, Node& node) = 0;
  /// Calls `visit` for each entry but "." and "..", with what it is itself.
  virtual int list(const std::string& path,
                   const std::function<void(std::string name, const Node& node)>& visit) = 0;
  /// `flags`: as of open(2).
  virtual int open(const std::string& path, int flags, std::uint32_t mode,
                   std::unique_ptr<TreeFile>& file) = 0;
  virtual int make_directory(const std::string& path, std::uint32_t mode) = 0;
  virtual int make_link(const std::string& target, const std::string& path) = 0;
  virtual int read_link(const std::string& path, std::string& target) = 0;
  virtual int remove(const std::string& path) = 0;
  virtual int set_mode(const std::string& path, std::uint32_t mode) = 0;
  /// Of a symbolic link: of itself.
  virtual int set_owner(const std::string& path, std::uint32_t uid, std::uint32_t gid) = 0;
  virtual int set_times(const std::string& path, std::int64_t atime_ns, std::int64_t mtime_ns) = 0;
  /// Extended attributes of the user, of a path that is no symbolic link. -EOPNOTSUPP: there are
  /// none here.
  virtual int xattr_names(const std::string& path, std::vector<std::string>& names) = 0;
  virtual int get_xattr(const std::string& path, const std::string& name, std::string& value) = 0;
  virtual int set_xattr(const std::string& path, const std::string& name,
                        const std::string& value) = 0;
  virtual std::string explain(std::int64_t error) const = 0;
  /// As messages show it.
  virtual std::string shown(const std::string& path) const = 0;
};

/// The files of this machine.
std::unique_ptr<FileTree> local_tree();
/// Those of the file system; `files` outlives it.
std::unique_ptr<FileTree> benchfs_tree(const Files& files);
/// An open descriptor, which stays open, read or written from its beginning to its end.
std::unique_ptr<TreeFile> stream_of(int fd);

}  // namespace benchfs::tools
