// Blocks, their index and who has which. A block's data are written before its record says whose it
// is, so that a process that dies leaves no file with data that are not its own.
#include "storage/pack.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "storage/plain_io.hpp"

namespace benchfs {
namespace {

constexpr std::array<char, 8> kMagic{'b', 'f', 's', 'p', 'a', 'c', 'k', '1'};
constexpr std::uint64_t kHeaderBytes = 64;
constexpr std::uint64_t kGrowth = 4096;  // bytes by which the index grows
constexpr std::uint64_t kMappedBytes =
    (kHeaderBytes + 16 * std::uint64_t{Pack::kBlocksMax} + kGrowth - 1) / kGrowth * kGrowth;
constexpr std::size_t kTableMin = 1024;
/// Storage of so many free blocks is kept for the next files; beyond twice of it, it goes.
constexpr std::size_t kKept = 1024;

constexpr std::array<std::byte, Pack::kBlockBytes> kZeros{};

std::string data_path(const std::string& folder) {
  return folder + "/pack";
}
std::string index_path(const std::string& folder) {
  return folder + "/pack.index";
}

int open_or_make(const std::string& path) {
  return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

}  // namespace

bool Pack::exists(const std::string& folder) {
  return ::access(index_path(folder).c_str(), F_OK) == 0;
}

void Pack::remove_files(const std::string& folder) {
  ::unlink(index_path(folder).c_str());
  ::unlink(data_path(folder).c_str());
}

Status Pack::failed(const char* what, const std::string& path, int error) const {
  log_error("cannot {} {}: {}", what, path, std::strerror(error));
  return fail(errc_from_errno(error), error);
}

Result<std::unique_ptr<Pack>> Pack::open(const std::string& folder) {
  auto pack = std::unique_ptr<Pack>(new Pack(folder));
  BFS_CHECK(started, pack->start());
  return pack;
}

Pack::~Pack() {
  if (index_ != nullptr) munmap(index_, kMappedBytes);
  if (index_fd_ >= 0) ::close(index_fd_);
  if (fd_ >= 0) ::close(fd_);
}

Status Pack::start() {
  const std::string data = data_path(folder_), index = index_path(folder_);
  fd_ = open_or_make(data);
  if (fd_ < 0) return failed("open", data, errno);
  index_fd_ = open_or_make(index);
  if (index_fd_ < 0) return failed("open", index, errno);
  struct stat facts {};
  if (fstat(index_fd_, &facts) != 0) return failed("look at", index, errno);
  const auto bytes = static_cast<std::uint64_t>(facts.st_size);
  if (bytes > kMappedBytes) return failed("read the index of", data, EFBIG);
  void* const memory =
      mmap(nullptr, kMappedBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, index_fd_, 0);
  if (memory == MAP_FAILED) return failed("map", index, errno);
  index_ = static_cast<std::byte*>(memory);

  // Of what is there nobody knows whether it is allocated: a copy of the file may have holes.
  const std::uint64_t there = bytes < kHeaderBytes ? 0 : (bytes - kHeaderBytes) / sizeof(Record);
  if (const Status grown = grow(static_cast<std::uint32_t>(there)); !grown) {
    return failed("allocate", index, grown.error().native);
  }
  std::array<char, 8> magic{};
  std::memcpy(magic.data(), index_, magic.size());
  if (magic == std::array<char, 8>{}) {  // as it was made
    std::memcpy(index_, kMagic.data(), kMagic.size());
  } else if (magic != kMagic) {
    return failed("read the index of", data, EUCLEAN);
  }
  table_.assign(std::max(kTableMin, std::bit_ceil(2 * there)), 0);
  shift_ = 64 - static_cast<unsigned>(std::countr_zero(table_.size()));
  for (std::uint32_t block = 0; block < records_; ++block) {
    if (record(block).inode != 0) end_ = block + 1;
  }
  for (std::uint32_t block = end_; block-- > 0;) {
    const Record& known = record(block);
    if (known.inode == 0) {
      free_.push_back(block);
    } else if (known.bytes > kBlockBytes || has(known.inode)) {
      log_error("{}: the record of block {} is damaged", index, block);
      return fail(Errc::io, EUCLEAN);
    } else {
      enter(block);
    }
  }
  return {};
}

/// The index has room for so many records, all of it allocated: writing to it cannot fail.
Status Pack::grow(std::uint32_t blocks) {
  const std::uint64_t needed = kHeaderBytes + sizeof(Record) * std::uint64_t{blocks};
  const std::uint64_t bytes = (needed + kGrowth - 1) / kGrowth * kGrowth;
  const std::uint64_t records = (bytes - kHeaderBytes) / sizeof(Record);
  const int error = posix_fallocate(index_fd_, 0, static_cast<off_t>(bytes));
  if (error != 0) return fail(errc_from_errno(error), error);
  records_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(records, kBlocksMax));
  return {};
}

Pack::Record& Pack::record(std::uint32_t block) const {
  return reinterpret_cast<Record*>(index_ + kHeaderBytes)[block];
}

// ---- the table: open addressing, no place between a block's home and its place is empty ----

std::size_t Pack::home_of(InodeId inode) const {
  return static_cast<std::size_t>((inode * 0x9E3779B97F4A7C15ull) >> shift_);
}

std::optional<std::size_t> Pack::place_of(InodeId inode) const {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t place = home_of(inode); table_[place] != 0; place = (place + 1) & mask) {
    if (record(table_[place] - 1).inode == inode) return place;
  }
  return std::nullopt;
}

void Pack::enter(std::uint32_t block) {
  ++files_;
  if (2 * files_ > table_.size()) {
    const std::vector<std::uint32_t> before = std::exchange(table_, {});
    table_.assign(2 * before.size(), 0);
    --shift_;
    files_ = 1;
    for (const std::uint32_t entry : before) {
      if (entry != 0) enter(entry - 1);
    }
  }
  const std::size_t mask = table_.size() - 1;
  std::size_t place = home_of(record(block).inode);
  while (table_[place] != 0) place = (place + 1) & mask;
  table_[place] = block + 1;
}

void Pack::leave(std::size_t place) {
  --files_;
  const std::size_t mask = table_.size() - 1;
  for (std::size_t next = (place + 1) & mask; table_[next] != 0; next = (next + 1) & mask) {
    const std::size_t home = home_of(record(table_[next] - 1).inode);
    if (((next - home) & mask) < ((next - place) & mask)) continue;  // cannot move before its home
    table_[place] = table_[next];
    place = next;
  }
  table_[place] = 0;
}

// ---- files ----

std::optional<std::size_t> Pack::bytes(InodeId inode) const {
  if (files_ == 0) return std::nullopt;
  const auto place = place_of(inode);
  if (!place) return std::nullopt;
  return record(table_[*place] - 1).bytes;
}

Result<std::size_t> Pack::read(InodeId inode, std::size_t offset, std::span<std::byte> into) const {
  const auto place = place_of(inode);
  BFS_ASSERT(place.has_value());
  const std::uint32_t block = table_[*place] - 1;
  const std::size_t there = record(block).bytes;
  if (offset >= there) return std::size_t{0};
  const std::size_t bytes = std::min(into.size(), there - offset);
  BFS_TRY(count, read_plain(fd_, block * std::uint64_t{kBlockBytes} + offset, into.first(bytes)));
  if (count < bytes)
    return fail(Errc::io, EIO);  // the file of blocks is shorter than its index says
  return bytes;
}

/// `from`, and zeros between what the block has and `offset`.
Status Pack::fill(std::uint32_t block, std::size_t offset, std::span<const std::byte> from) const {
  const std::size_t known = record(block).bytes;
  const std::size_t gap = offset > known ? offset - known : 0;
  std::array<iovec, 2> parts{{{const_cast<std::byte*>(kZeros.data()), gap},
                              {const_cast<std::byte*>(from.data()), from.size()}}};
  const auto at = static_cast<off_t>(block * std::uint64_t{kBlockBytes} + offset - gap);
  for (;;) {
    const ssize_t count = pwritev(fd_, parts.data(), parts.size(), at);
    if (count == static_cast<ssize_t>(gap + from.size())) return {};
    if (count >= 0) return fail(Errc::no_space, ENOSPC);
    if (errno != EINTR) return fail(errc_from_errno(errno), errno);
  }
}

/// A block that is nobody's, the one that was used last if there is any.
Status Pack::take(std::uint32_t* block) {
  for (auto* from : {&free_, &blank_}) {
    if (from->empty()) continue;
    *block = from->back();
    from->pop_back();
    return {};
  }
  if (end_ == kBlocksMax) return fail(Errc::no_space, ENOSPC);
  if (end_ == records_) {
    BFS_CHECK(grown, grow(records_ + 1));
  }
  *block = end_++;
  return {};
}

Status Pack::write(InodeId inode, std::size_t offset, std::span<const std::byte> from) {
  BFS_ASSERT(inode != 0 && offset + from.size() <= kBlockBytes);
  const auto place = place_of(inode);
  std::uint32_t block = 0;
  if (place) {
    block = table_[*place] - 1;
  } else {
    BFS_CHECK(taken, take(&block));
    record(block).bytes = 0;
  }
  if (const Status filled = fill(block, offset, from); !filled) {
    if (!place) free_.push_back(block);
    return filled;
  }
  Record& known = record(block);
  known.bytes = std::max(known.bytes, static_cast<std::uint32_t>(offset + from.size()));
  if (!place) {
    std::atomic_ref(known.inode).store(inode, std::memory_order_release);
    enter(block);
  }
  return {};
}

void Pack::truncate(InodeId inode, std::size_t bytes) {
  if (bytes == 0) {
    const bool removed = remove(inode);
    BFS_ASSERT(removed);
    return;
  }
  const auto place = place_of(inode);
  BFS_ASSERT(place.has_value());
  std::uint32_t& there = record(table_[*place] - 1).bytes;
  there = std::min(there, static_cast<std::uint32_t>(bytes));
}

bool Pack::remove(InodeId inode) {
  if (files_ == 0) return false;
  const auto place = place_of(inode);
  if (!place) return false;
  const std::uint32_t block = table_[*place] - 1;
  leave(*place);
  record(block).inode = 0;
  free_.push_back(block);
  return true;
}

void Pack::for_each(const std::function<void(InodeId)>& visit) const {
  for (std::uint32_t block = 0; block < end_; ++block) {
    if (record(block).inode != 0) visit(record(block).inode);
  }
}

// ---- storage that nobody uses ----

std::vector<std::uint32_t> Pack::take_surplus() {
  if (free_.size() < 2 * kKept) return {};
  const auto kept = free_.end() - static_cast<std::ptrdiff_t>(kKept);
  std::vector<std::uint32_t> surplus(free_.begin(), kept);
  free_.erase(free_.begin(), kept);
  std::sort(surplus.begin(), surplus.end());
  return surplus;
}

int Pack::punch(const std::vector<std::uint32_t>& blocks) const {
  int error = 0;
  for (std::size_t i = 0; i < blocks.size();) {
    const std::size_t first = i;
    while (++i < blocks.size() && blocks[i] == blocks[i - 1] + 1) continue;
    const auto at = static_cast<off_t>(blocks[first] * std::uint64_t{kBlockBytes});
    const auto length = static_cast<off_t>((i - first) * kBlockBytes);
    if (fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length) != 0) error = errno;
  }
  return error;
}

void Pack::given_back(const std::vector<std::uint32_t>& blocks) {
  blank_.insert(blank_.end(), blocks.rbegin(), blocks.rend());
}

}  // namespace benchfs
