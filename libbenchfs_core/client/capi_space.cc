// The C interface: storage of a file, set aside and given back.
#include <linux/falloc.h>

#include "client/capi.hpp"
#include "wire/messages.hpp"

using namespace benchfs;
using namespace benchfs::capi;

static_assert(BENCHFS_FALLOC_KEEP_SIZE == FALLOC_FL_KEEP_SIZE);
static_assert(BENCHFS_FALLOC_PUNCH_HOLE == FALLOC_FL_PUNCH_HOLE);
static_assert(BENCHFS_FALLOC_ZERO_RANGE == FALLOC_FL_ZERO_RANGE);

int benchfs_fallocate(benchfs_file_t* handle, int mode, std::uint64_t offset, std::uint64_t bytes) {
  constexpr const char* kOperation = "fallocate";
  const OpenFile* file = file_of(handle);
  if (!file->writable) return not_writable(file, kOperation);
  std::uint32_t operation = 0;
  switch (mode & ~BENCHFS_FALLOC_KEEP_SIZE) {
    case 0:
      operation = wire::Allocate::kAllocate;
      break;
    case BENCHFS_FALLOC_PUNCH_HOLE:
      operation = wire::Allocate::kPunch;
      break;
    case BENCHFS_FALLOC_ZERO_RANGE:
      operation = wire::Allocate::kZero;
      break;
    default:
      return refuse(file, kOperation, EINVAL, "unknown mode");
  }
  if (bytes == 0) return refuse(file, kOperation, EINVAL, "no bytes");
  if (offset > kFileBytesMax || bytes > kFileBytesMax - offset) {
    return refuse(file, kOperation, EFBIG, "the range ends beyond the largest file (2^62 bytes)");
  }
  const bool keep_size = (mode & BENCHFS_FALLOC_KEEP_SIZE) != 0;
  return on_file(handle, kOperation, [&](Client& client, OpenFile* open) {
    return client.allocate(open, offset, bytes, operation, keep_size);
  });
}
