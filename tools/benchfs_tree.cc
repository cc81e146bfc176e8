// The files of the file system as one side of a copy. One session serves all threads: its calls
// are in flight together, though each thread waits for its own.

#include <utility>

#include "file_tree.hpp"

namespace benchfs::tools {
namespace {

Node node_of(const Stat& st) {
  Node node;
  node.inode = st.inode;
  node.size = st.size;
  node.mode = st.mode;
  node.uid = st.uid;
  node.gid = st.gid;
  node.atime_ns = st.atime_ns;
  node.mtime_ns = st.mtime_ns;
  return node;
}

class RemoteFile final : public TreeFile {
 public:
  explicit RemoteFile(benchfs_file_t* file) : file_(file) {}
  ~RemoteFile() override {
    if (file_ != nullptr) benchfs_close(file_);
  }
  std::int64_t read(char* into, std::size_t bytes, std::uint64_t at) override {
    return benchfs_pread(file_, into, bytes, at);
  }
  std::int64_t write(const char* from, std::size_t bytes, std::uint64_t at) override {
    return benchfs_pwrite(file_, from, bytes, at);
  }
  bool is_hole(std::uint64_t, std::uint64_t) override { return false; }
  int set_size(std::uint64_t size) override { return benchfs_ftruncate(file_, size); }
  int sync() override { return benchfs_sync(file_); }
  int close() override { return benchfs_close(std::exchange(file_, nullptr)); }

 private:
  benchfs_file_t* file_;
};

class RemoteTree final : public FileTree {
 public:
  explicit RemoteTree(const Files& files) : files_(files), fs_(files) {}
  int stat(const std::string& path, bool follow, Node& node) override {
    Stat st{};
    const int error =
        follow ? benchfs_stat(fs_, path.c_str(), &st) : benchfs_lstat(fs_, path.c_str(), &st);
    if (error == 0) node = node_of(st);
    return error;
  }
  int list(const std::string& path,
           const std::function<void(std::string, const Node&)>& visit) override {
    benchfs_dir_t* directory = nullptr;
    const int opened = benchfs_opendir(fs_, path.c_str(), BENCHFS_DIR_STAT, &directory);
    if (opened != 0) return opened;
    // The calls that `visit` makes may change this thread's error text, but an error ends the loop.
    Entry entry;
    int got = 0;
    while ((got = benchfs_readdir(directory, &entry)) == 1) {
      if (entry.has_stat != 0) visit(entry.name, node_of(entry.stat));
    }
    benchfs_closedir(directory);
    return got;
  }
  int open(const std::string& path, int flags, std::uint32_t mode,
           std::unique_ptr<TreeFile>& file) override {
    benchfs_file_t* opened = nullptr;
    const int error = benchfs_open(fs_, path.c_str(), flags, mode, 0, &opened);
    if (error == 0) file = std::make_unique<RemoteFile>(opened);
    return error;
  }
  int make_directory(const std::string& path, std::uint32_t mode) override {
    return benchfs_mkdir(fs_, path.c_str(), mode);
  }
  int make_link(const std::string& target, const std::string& path) override {
    return benchfs_symlink(fs_, target.c_str(), path.c_str());
  }
  int read_link(const std::string& path, std::string& target) override {
    char buffer[4096];
    const std::int64_t bytes = benchfs_readlink(fs_, path.c_str(), buffer, sizeof(buffer));
    if (bytes < 0) return static_cast<int>(bytes);
    target.assign(buffer, static_cast<std::size_t>(bytes));
    return 0;
  }
  int remove(const std::string& path) override { return benchfs_unlink(fs_, path.c_str()); }
  int set_mode(const std::string& path, std::uint32_t mode) override {
    return benchfs_chmod(fs_, path.c_str(), mode);
  }
  int set_owner(const std::string& path, std::uint32_t uid, std::uint32_t gid) override {
    return benchfs_chown(fs_, path.c_str(), uid, gid, BENCHFS_NOFOLLOW);
  }
  int set_times(const std::string& path, std::int64_t atime_ns, std::int64_t mtime_ns) override {
    return benchfs_utimens(fs_, path.c_str(), atime_ns, mtime_ns, BENCHFS_NOFOLLOW);
  }
  int xattr_names(const std::string& path, std::vector<std::string>& names) override {
    return files_.xattr_names(path, 0, names);
  }
  int get_xattr(const std::string& path, const std::string& name, std::string& value) override {
    return files_.xattr(path, name, 0, value);
  }
  int set_xattr(const std::string& path, const std::string& name,
                const std::string& value) override {
    return benchfs_setxattr(fs_, path.c_str(), name.c_str(), value.data(), value.size(), 0);
  }
  std::string explain(std::int64_t error) const override { return cause_of(error); }
  std::string shown(const std::string& path) const override {
    return path.starts_with('/') ? "benchfs:" + path : "benchfs:/" + path;
  }

 private:
  const Files& files_;
  benchfs_t* fs_;
};

}  // namespace

std::unique_ptr<FileTree> benchfs_tree(const Files& files) {
  return std::make_unique<RemoteTree>(files);
}

}  // namespace benchfs::tools
