// The journal's file: allocated before it is written, so that a full file system is an error of
// append() and not a signal; groups with numbers and checksums.
#include "metadata/journal.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/log.hpp"

namespace benchfs {
namespace {

constexpr std::array<char, 8> kMagic{'b', 'f', 's', 'j', 'o', 'u', 'r', '1'};
constexpr std::uint64_t kFirst = 64;       // offset of the first group
constexpr std::uint64_t kStep = 1u << 20;  // by which the file grows
constexpr std::uint64_t kPage = 4096;

struct JournalHeader {
  std::array<char, 8> magic;
  std::uint64_t generation;
  std::uint32_t checksum;
  std::uint32_t zero;
};
static_assert(sizeof(JournalHeader) == 24);

struct GroupHeader {
  std::uint32_t bytes;
  std::uint32_t checksum;
  std::uint64_t number;
};
static_assert(sizeof(GroupHeader) == 16);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::uint32_t checksum_of(const JournalHeader& header) {
  return crc32c(bytes_of(header.generation), crc32c(bytes_of(header.magic)));
}

std::uint32_t checksum_of(std::uint64_t generation, std::uint64_t number, std::string_view group) {
  const std::array<std::uint64_t, 3> facts{generation, number, group.size()};
  return crc32c(std::as_bytes(std::span(group)), crc32c(std::as_bytes(std::span(facts))));
}

std::uint64_t place_of(std::size_t bytes) {
  return (sizeof(GroupHeader) + bytes + 7) / 8 * 8;
}

}  // namespace

Status Journal::failed(const char* what, int error) const {
  log_error("{} {}: {}", what, path_, std::strerror(error));
  return fail(errc_from_errno(error), error);
}

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, std::uint64_t bytes_max) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  auto journal = std::unique_ptr<Journal>(new Journal(path, fd));
  if (fd < 0) {
    BFS_CHECK(opened, journal->failed("cannot open the journal", errno));
  }
  struct stat facts {};
  if (fstat(fd, &facts) != 0) {
    BFS_CHECK(known, journal->failed("cannot look at the journal", errno));
  }
  const auto bytes = static_cast<std::uint64_t>(facts.st_size);
  journal->mapped_ = std::max(bytes_max, bytes);
  void* const memory =
      mmap(nullptr, journal->mapped_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (memory == MAP_FAILED) {
    BFS_CHECK(mapped, journal->failed("cannot map the journal", errno));
  }
  journal->memory_ = static_cast<char*>(memory);
  // Of what is there nobody knows whether it is allocated: a copy of the file may have holes.
  if (bytes > 0) {
    BFS_CHECK(there, journal->allocate(bytes));
  }
  JournalHeader header{};
  if (bytes >= kFirst) std::memcpy(&header, memory, sizeof(header));
  if (header.magic == kMagic && header.checksum == checksum_of(header)) {
    journal->generation_ = header.generation;
  }
  return journal;
}

Journal::~Journal() {
  if (memory_ != nullptr) munmap(memory_, mapped_);
  if (fd_ >= 0) close(fd_);
}

/// The first `bytes` of the file are there.
Status Journal::allocate(std::uint64_t bytes) {
  if (bytes <= allocated_) return {};
  const auto until = [this](std::uint64_t end) {
    return posix_fallocate(fd_, static_cast<off_t>(allocated_),
                           static_cast<off_t>(end - allocated_));
  };
  std::uint64_t end = std::min((bytes + kStep - 1) / kStep * kStep, mapped_);
  int error = until(end);
  if (error == ENOSPC) {
    end = std::min((bytes + kPage - 1) / kPage * kPage, mapped_);
    error = until(end);
  }
  if (error != 0) return fail(errc_from_errno(error), error);
  allocated_ = end;
  return {};
}

Status Journal::replay(const std::function<Status(std::string_view group)>& visit) {
  end_ = kFirst;
  number_ = 0;
  while (end_ + sizeof(GroupHeader) <= allocated_) {
    GroupHeader header;
    std::memcpy(&header, memory_ + end_, sizeof(header));
    if (header.number != number_ || header.bytes == 0 || end_ + place_of(header.bytes) > allocated_)
      break;
    const std::string_view group(memory_ + end_ + sizeof(header), header.bytes);
    if (header.checksum != checksum_of(generation_, number_, group)) break;
    BFS_CHECK(taken, visit(group));
    end_ += place_of(header.bytes);
    ++number_;
  }
  return {};
}

Status Journal::start(std::uint64_t generation) {
  BFS_ASSERT(generation_ == 0 && generation != 0);
  BFS_CHECK(there, allocate(kFirst));
  JournalHeader header{kMagic, generation, 0, 0};
  header.checksum = checksum_of(header);
  std::memcpy(memory_, &header, sizeof(header));
  generation_ = generation;
  end_ = kFirst;
  number_ = 0;
  return {};
}

bool Journal::fits(std::size_t bytes) const {
  return end_ + place_of(bytes) <= mapped_;
}

Status Journal::append(std::string_view group) {
  BFS_ASSERT(generation_ != 0 && !group.empty() && fits(group.size()));
  BFS_CHECK(there, allocate(end_ + place_of(group.size())));
  const GroupHeader header{static_cast<std::uint32_t>(group.size()),
                           checksum_of(generation_, number_, group), number_};
  std::memcpy(memory_ + end_ + sizeof(header), group.data(), group.size());
  std::memcpy(memory_ + end_, &header, sizeof(header));
  end_ += place_of(group.size());
  ++number_;
  return {};
}

Status Journal::sync() {
  // Pages that were written through the mapping are the file's dirty pages like any others.
  if (fdatasync(fd_) == 0) return {};
  return failed("cannot sync the journal", errno);
}

Status Journal::clear(bool durable) {
  if (allocated_ < kFirst) return {};  // there was never a generation in it
  const JournalHeader none{};
  std::memcpy(memory_, &none, sizeof(none));
  if (durable) {
    BFS_CHECK(gone, sync());
  }
  generation_ = 0;
  return {};
}

}  // namespace benchfs
