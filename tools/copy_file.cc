// The copy of one regular file, by as many workers as it has blocks: each takes the next block.
// When the last has left, one of them begins the next phase: reading back, then the attributes.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "base/crc32c.hpp"
#include "copier.hpp"

namespace benchfs::tools {
namespace {

/// Runs of zeros of this length, at such offsets, become holes.
constexpr std::size_t kHoleBytes = 64u << 10;

using Buffer = std::unique_ptr<char[]>;

std::uint32_t checksum_of(const char* bytes, std::size_t count) {
  return crc32c(std::as_bytes(std::span{bytes, count}));
}

bool is_zero(const char* bytes, std::size_t count) {
  return count == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, count - 1) == 0);
}

class FileCopy : public std::enable_shared_from_this<FileCopy> {
 public:
  FileCopy(Copier& copier, CopySource source, FileTree& to, std::string target)
      : copier_(copier), from_(std::move(source)), to_(to), target_path_(std::move(target)) {}

  void begin() {
    if (!open()) return;
    if (size_ == 0) {
      copy_unsized();
      end_copying();
    } else {
      run(&FileCopy::copy_block, &FileCopy::end_copying);
    }
  }

 private:
  using Block = bool (FileCopy::*)(std::uint64_t at, std::size_t bytes, char* data, char* there);
  using Next = void (FileCopy::*)();

  bool open() {
    const CopyOptions& options = copier_.options();
    size_ = from_.node.size;
    Node there;
    const bool exists = to_.stat(target_path_, true, there) == 0;
    if (exists && from_.tree == &to_ && there.same_as(from_.node)) {
      copier_.complain(to_.shown(target_path_), "is the file that is to be copied");
      return false;
    }
    if (exists && !S_ISREG(there.mode) && !S_ISDIR(there.mode)) {  // a pipe, a terminal
      copy_in_order();
      return false;
    }
    if (exists && options.resume && !options.verify && there.size == size_ &&
        there.mtime_ns == from_.node.mtime_ns) {
      copier_.progress().moved(size_);
      copier_.progress().done();
      return false;
    }
    fresh_ = !(exists && options.resume);
    size_there_ = fresh_ ? 0 : there.size;
    int error = from_.tree->open(from_.path, O_RDONLY, 0, source_);
    if (error != 0) {
      copier_.complain(*from_.tree, from_.path, error);
      return false;
    }
    const int flags =
        O_CREAT | (fresh_ ? O_TRUNC : 0) | (options.resume || options.verify ? O_RDWR : O_WRONLY);
    const std::uint32_t mode = from_.node.mode & 0777 & ~copier_.umask();
    error = to_.open(target_path_, flags, mode, target_);
    if (error != 0) {
      copier_.complain(to_, target_path_, error);
      return false;
    }
    if (options.verify) checksums_.resize((size_ + kCopyBlockBytes - 1) / kCopyBlockBytes);
    return true;
  }

  void copy_in_order() {
    const int error = to_.open(target_path_, O_WRONLY, 0, target_);
    if (error != 0) return copier_.complain(to_, target_path_, error);
    copier_.copy_stream(*from_.tree, from_.path, *target_, to_.shown(target_path_));
  }

  /// What says that it is empty may have something to read nevertheless, as files of /proc do.
  void copy_unsized() {
    const Buffer data = std::make_unique_for_overwrite<char[]>(kCopyBlockBytes);
    for (std::uint64_t at = 0; !failed_;) {
      const std::int64_t got = source_->read(data.get(), kCopyBlockBytes, at);
      if (got < 0) fail(*from_.tree, from_.path, got);
      if (got <= 0) return;
      const auto bytes = static_cast<std::size_t>(got);
      if (copier_.options().verify) checksums_.push_back(checksum_of(data.get(), bytes));
      write(data.get(), bytes, at);
      at = size_ = at + bytes;
    }
  }

  /// Has `block` called for every block, by several workers, and then calls `next`, by one.
  void run(Block block, Next next) {
    block_ = block;
    next_ = next;
    const std::uint64_t blocks = (size_ + kCopyBlockBytes - 1) / kCopyBlockBytes;
    const std::uint64_t helpers =
        blocks == 0 ? 0 : std::min<std::uint64_t>(blocks - 1, copier_.workers().threads() - 1);
    inside_ = static_cast<unsigned>(helpers) + 1;
    for (std::uint64_t i = 0; i < helpers; ++i) {
      copier_.workers().add_first([self = shared_from_this()] { self->help(); });
    }
    help();
  }

  void help() {
    Buffer data, there;
    while (!failed_) {
      const std::uint64_t at = next_block_.fetch_add(1) * kCopyBlockBytes;
      if (at >= size_) break;
      const auto bytes =
          static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBlockBytes, size_ - at));
      if (data == nullptr) data = std::make_unique_for_overwrite<char[]>(bytes);
      if (there == nullptr && !fresh_) there = std::make_unique_for_overwrite<char[]>(bytes);
      if (!(this->*block_)(at, bytes, data.get(), there.get())) failed_ = true;
    }
    data.reset();
    there.reset();
    if (--inside_ == 0) (this->*next_)();
  }

  bool fail(const FileTree& tree, const std::string& path, std::int64_t error) {
    if (!failed_.exchange(true)) copier_.complain(tree, path, error);
    return false;
  }
  bool fail(const FileTree& tree, const std::string& path, const std::string& cause) {
    if (!failed_.exchange(true)) copier_.complain(tree.shown(path), cause);
    return false;
  }

  bool copy_block(std::uint64_t at, std::size_t bytes, char* data, char* there) {
    const bool hole = source_->is_hole(at, bytes);
    if (hole && fresh_ && !copier_.options().verify) {
      copier_.progress().moved(bytes);
      return true;
    }
    if (hole) {
      std::memset(data, 0, bytes);
    } else {
      const std::int64_t got = source_->read(data, bytes, at);
      if (got < 0) return fail(*from_.tree, from_.path, got);
      if (static_cast<std::size_t>(got) < bytes) {
        return fail(*from_.tree, from_.path, "became shorter while it was copied");
      }
    }
    if (copier_.options().verify) checksums_[at / kCopyBlockBytes] = checksum_of(data, bytes);
    if (fresh_ ? !write_data(data, bytes, at) : !write_difference(data, bytes, at, there)) {
      return false;
    }
    copier_.progress().moved(bytes);
    return true;
  }

  bool write(const char* data, std::size_t bytes, std::uint64_t at) {
    const std::int64_t put = target_->write(data, bytes, at);
    if (put < 0) return fail(to_, target_path_, put);
    std::uint64_t end = end_;
    while (end < at + bytes && !end_.compare_exchange_weak(end, at + bytes)) {
    }
    return true;
  }

  /// All but the runs of zeros.
  bool write_data(const char* data, std::size_t bytes, std::uint64_t at) {
    for (std::size_t begin = 0; begin < bytes;) {
      std::size_t end = begin;
      while (end < bytes && !is_zero(data + end, std::min(kHoleBytes, bytes - end))) {
        end = std::min(end + kHoleBytes, bytes);
      }
      if (end > begin && !write(data + begin, end - begin, at + begin)) return false;
      begin = std::min(end + kHoleBytes, bytes);
    }
    return true;
  }

  /// Only what is not there already.
  bool write_difference(const char* data, std::size_t bytes, std::uint64_t at, char* there) {
    const std::int64_t got = target_->read(there, bytes, at);
    if (got < 0) return fail(to_, target_path_, got);
    const auto had = static_cast<std::size_t>(got);
    std::memset(there + had, 0, bytes - had);
    return std::memcmp(data, there, bytes) == 0 || write(data, bytes, at);
  }

  void end_copying() {
    const bool wrong_size = fresh_ ? end_ < size_ : std::max(end_.load(), size_there_) != size_;
    if (!failed_ && wrong_size) {
      const int error = target_->set_size(size_);
      if (error != 0) fail(to_, target_path_, error);
    }
    if (failed_ || !copier_.options().verify) return end();
    const int error = target_->sync();
    if (error != 0) {
      fail(to_, target_path_, error);
      return end();
    }
    next_block_ = 0;
    run(&FileCopy::verify_block, &FileCopy::end);
  }

  bool verify_block(std::uint64_t at, std::size_t bytes, char* data, char*) {
    const std::int64_t got = target_->read(data, bytes, at);
    if (got < 0) return fail(to_, target_path_, got);
    if (static_cast<std::size_t>(got) == bytes &&
        checksum_of(data, bytes) == checksums_[at / kCopyBlockBytes]) {
      return true;
    }
    return fail(to_, target_path_,
                fmt::format("what was read back of bytes {} to {} is not what was written", at,
                            at + bytes - 1));
  }

  void end() {
    source_->close();
    const int error = target_->close();
    if (error != 0) fail(to_, target_path_, error);
    if (!failed_) copier_.keep_attributes(from_, to_, target_path_);
    if (!failed_) copier_.progress().done();
  }

  Copier& copier_;
  const CopySource from_;
  FileTree& to_;
  const std::string target_path_;
  std::unique_ptr<TreeFile> source_, target_;
  std::uint64_t size_ = 0;
  std::uint64_t size_there_ = 0;
  bool fresh_ = true;  ///< the target was empty when the copy began
  std::vector<std::uint32_t> checksums_;
  std::atomic<std::uint64_t> next_block_{0};
  std::atomic<std::uint64_t> end_{0};  ///< of what was written
  std::atomic<unsigned> inside_{0};    ///< workers that are (or will be) at it
  std::atomic<bool> failed_{false};
  Block block_ = nullptr;
  Next next_ = nullptr;
};

}  // namespace

void copy_file(Copier& copier, CopySource source, FileTree& to, const std::string& target) {
  std::make_shared<FileCopy>(copier, std::move(source), to, target)->begin();
}

}  // namespace benchfs::tools
