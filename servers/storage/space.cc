// Counting, admitting, refusing.
//
// Most writes are admitted by a subtraction: `quick_` is what may be taken until the next count. A
// count looks at the device and, with a limit, at every chunk file that has changed. Only near the
// end it matters which blocks of a write are there already; then the holes of its range are looked
// for.
#include "storage/space.hpp"

#include <algorithm>
#include <cerrno>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace benchfs {
namespace {

/// Removing things writes to the log of the metadata, and later to its tables: rarely more.
constexpr std::uint64_t kReserveMax = 256ull << 20;
/// Of a small device, its part.
constexpr std::uint64_t kReservePart = 32;
/// Less than this is not lent, and lending ends with this much left.
constexpr std::uint64_t kMargin = 64ull << 20;
constexpr std::uint64_t kMarginPart = 16;
/// Entries made between two looks at the device: a few hundred bytes each.
constexpr unsigned kEntriesPerLook = 32;
/// Before a refusal: writes that end are waited for, as they may turn out to leave room; then, for
/// about 15 ms, what is just being removed; and 100 ms what clients are writing themselves.
constexpr int kWritesMax = 50;
constexpr std::int64_t kNapNs = 1'000'000;
constexpr int kNapsMax = 4, kNapsForLent = 10;
constexpr std::int64_t kTellEveryNs = 10'000'000'000;

std::uint64_t less(std::uint64_t from, std::uint64_t what) {
  return from - std::min(from, what);
}

/// What file data may take: what is set aside for them, and of the rest all but the reserve.
std::uint64_t room_on(const Device& device, std::uint64_t reserve) {
  return device.set_aside_bytes + less(device.available_bytes - device.set_aside_bytes, reserve);
}

/// Calls `visit(begin, end)` for the blocks of each run, without those that the run before had.
template <class Visit>
void each_block_range(const PieceList& list, std::uint64_t block, Visit visit) {
  PieceList::Walk walk = list.walk();
  std::uint64_t before_begin = 0, before_end = 0;
  while (const auto run = walk.next()) {
    std::uint64_t begin = run->offset / block * block;
    const std::uint64_t end = (run->offset + run->bytes + block - 1) / block * block;
    if (begin >= before_begin && begin < before_end) begin = before_end;
    if (begin >= end) continue;
    before_begin = begin;
    before_end = end;
    visit(begin, end);
  }
}

}  // namespace

Space::Space(Loop& loop, ChunkStore& store, Options options)
    : loop_(loop), store_(store), options_(options) {}

Space::~Space() {
  BFS_ASSERT(held_ == 0);
}

std::uint64_t Space::reserve_of(const Device& device) {
  return std::min(kReserveMax, device.bytes / kReservePart);
}

Result<Space::Measure> Space::measure() {
  BFS_TRY(device, store_.device());
  BFS_TRY(usage, store_.usage());
  Measure measure;
  measure.device = device;
  measure.stored_bytes = usage.stored_bytes;
  measure.reserve_bytes = reserve_of(device);
  measure.room_bytes = room_on(device, measure.reserve_bytes);
  if (options_.limit_bytes != 0) {
    measure.room_bytes =
        std::min(measure.room_bytes, less(options_.limit_bytes, usage.stored_bytes));
  }
  return measure;
}

/// Counts anew. What is lent is asked for first: whatever a borrower ends after that is counted
/// twice rather than not at all.
Status Space::refresh() {
  const std::uint64_t promised = held_ + (lender_ != nullptr ? lender_->lent() : 0);
  BFS_TRY(device, store_.device());
  block_bytes_ = std::max<std::uint64_t>(device.block_bytes, 512);
  const std::uint64_t of_device = less(room_on(device, reserve_of(device)), promised);
  room_ = of_device;
  quick_ = of_device / (2 * options_.sharers);
  if (options_.limit_bytes != 0) {
    BFS_TRY(usage, store_.usage());
    const std::uint64_t of_limit = less(options_.limit_bytes, usage.stored_bytes + promised);
    room_ = std::min(room_, of_limit);
    quick_ = std::min(quick_, of_limit);
  }
  tight_ = room_ < kMargin;
  return {};
}

Space::Hold Space::take(std::uint64_t bytes) {
  quick_ = less(quick_, bytes);
  held_ += bytes;
  return Hold(*this, bytes);
}

void Space::release(std::uint64_t bytes) {
  held_ -= bytes;
  if (bytes > 0) released_.wake_all();
}

std::uint64_t Space::most(const PieceList& list) const {
  std::uint64_t bytes = 0;
  each_block_range(list, block_bytes_,
                   [&](std::uint64_t begin, std::uint64_t end) { bytes += end - begin; });
  return bytes;
}

std::optional<Space::Hold> Space::admit_at_once(const PieceList& list) {
  const std::uint64_t bytes = most(list);
  if (bytes > quick_) return std::nullopt;
  return take(bytes);
}

Result<std::uint64_t> Space::missing(InodeId inode, const PieceList& list) {
  std::uint64_t bytes = 0;
  Status looked;
  each_block_range(list, block_bytes_, [&](std::uint64_t begin, std::uint64_t end) {
    if (!looked) return;
    const Result<std::uint64_t> holes = store_.unallocated(inode, begin, end, block_bytes_);
    if (holes) {
      bytes += *holes;
    } else {
      looked = std::unexpected(holes.error());
    }
  });
  if (!looked) return std::unexpected(looked.error());
  return bytes;
}

Task<Result<Space::Hold>> Space::admit(InodeId inode, PieceList list) {
  const std::uint64_t most_bytes = most(list);
  if (tight_) {
    BFS_CO_TRY(bytes, missing(inode, list));
    if (bytes <= quick_) co_return take(bytes);
  }
  BFS_CO_CHECK(counted, refresh());
  if (most_bytes <= room_) co_return take(most_bytes);
  BFS_CO_TRY(bytes, missing(inode, list));
  auto admitting = admit_exactly(bytes);
  co_return co_await admitting;
}

Result<std::uint64_t> Space::missing(InodeId inode, std::uint64_t offset, std::uint64_t bytes) {
  const std::uint64_t begin = offset / block_bytes_ * block_bytes_;
  const std::uint64_t end = (offset + bytes + block_bytes_ - 1) / block_bytes_ * block_bytes_;
  return store_.unallocated(inode, begin, end, block_bytes_);
}

Task<Result<Space::Hold>> Space::admit_range(InodeId inode, std::uint64_t offset,
                                             std::uint64_t bytes) {
  BFS_CO_TRY(needed, missing(inode, offset, bytes));
  auto admitting = admit_bytes(needed);
  co_return co_await admitting;
}

Task<Result<Space::Hold>> Space::admit_bytes(std::uint64_t bytes) {
  if (bytes <= quick_) co_return take(bytes);
  auto admitting = admit_exactly(bytes);
  co_return co_await admitting;
}

Task<Result<Space::Hold>> Space::admit_exactly(std::uint64_t bytes) {
  int writes = 0, naps = 0;
  for (;;) {
    BFS_CO_CHECK(counted, refresh());
    if (bytes <= room_) co_return take(bytes);
    if (lender_ != nullptr && lender_->lent() > 0) {
      lender_->recall();
      BFS_CO_CHECK(again, refresh());
      if (bytes <= room_) co_return take(bytes);
    }
    const bool lent = lender_ != nullptr && lender_->lent() > 0;
    if (held_ > 0 && writes < kWritesMax) {
      ++writes;
      auto ended = released_.wait();
      co_await ended;
    } else if (naps < (lent ? kNapsForLent : kNapsMax)) {
      co_await loop_.sleep_ns(kNapNs << std::min(naps++, 4));
    } else {
      break;
    }
  }
  tell_full(bytes);
  co_return fail(Errc::no_space, ENOSPC);
}

void Space::tell_full(std::uint64_t bytes) {
  const std::int64_t now = now_ns();
  if (told_ns_ != 0 && now - told_ns_ < kTellEveryNs) return;
  told_ns_ = now;
  const auto now_there = measure();
  if (!now_there) return;
  log_warn("the storage is full: no room for {}, there is {} for file data; stored {}{}",
           format_bytes(bytes), format_bytes(now_there->room_bytes),
           format_bytes(now_there->stored_bytes),
           options_.limit_bytes == 0 ? std::string()
                                     : " of max_storage " + format_bytes(options_.limit_bytes));
}

std::uint64_t Space::lendable() {
  if (!refresh()) return 0;
  const auto device = store_.device();
  if (!device) return 0;
  std::uint64_t all = device->bytes;
  if (options_.limit_bytes != 0) all = std::min(all, options_.limit_bytes);
  const std::uint64_t mine = room_ / options_.sharers;
  const std::uint64_t lent = less(mine, std::min(kMargin, all / kMarginPart)) / 4 * 3;
  quick_ = std::min(quick_, mine - lent);
  return lent;
}

Status Space::room_for_entries() {
  if (entries_until_look_ > 0) {
    --entries_until_look_;
    return {};
  }
  BFS_TRY(device, store_.device());
  const std::uint64_t for_entries = device.available_bytes - device.set_aside_bytes;
  if (for_entries < reserve_of(device) / 2) return fail(Errc::no_space, ENOSPC);
  entries_until_look_ = kEntriesPerLook;
  return {};
}

}  // namespace benchfs
