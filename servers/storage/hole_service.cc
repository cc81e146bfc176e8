// Handlers of allocate and seek. A range is walked by chunk where owners matter: to set storage
// aside and to find a hole, since the chunks of other servers are holes here. Data and storage to
// be given back are found without them.
#include "storage/hole_service.hpp"

#include <algorithm>
#include <bit>
#include <optional>

namespace benchfs {
namespace {

/// Looks at chunks after which others have a turn.
constexpr std::uint64_t kChunksPerTurn = 4096;
constexpr unsigned kLooksPerTurn = 256;
/// After so much one answer of seek ends; the caller asks on.
constexpr std::uint64_t kSeekChunksMax = 1u << 20;
constexpr unsigned kSeekLooksMax = 16384;

bool valid(std::uint64_t offset, std::uint64_t bytes, std::uint32_t chunk_shift) {
  return chunk_shift < 32 && valid_chunk_bytes(1ull << chunk_shift) && offset <= kFileBytesMax &&
         bytes >= 1 && bytes <= kFileBytesMax - offset;
}

}  // namespace

void HoleService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::Allocate>(*this, &HoleService::allocate);
  dispatcher.add<wire::Seek>(*this, &HoleService::seek);
}

Task<void> HoleService::allocate(Incoming incoming) {
  auto work = carry_out(incoming.body<wire::Allocate>());
  const Status done = co_await work;
  if (done) {
    co_await incoming.reply<wire::Allocate>(wire::Empty{});
  } else {
    co_await incoming.fail(done.error().code);
  }
}

Task<void> HoleService::seek(Incoming incoming) {
  auto work = find(incoming.body<wire::Seek>());
  const auto found = co_await work;
  if (found) {
    co_await incoming.reply<wire::Seek>(*found);
  } else {
    co_await incoming.fail(found.error().code);
  }
}

Task<Status> HoleService::carry_out(wire::Allocate::Request request) {
  using Message = wire::Allocate;
  if (!valid(request.offset, request.bytes, request.chunk_shift)) co_return fail(Errc::bad_message);
  if (request.operation == Message::kCheck) {
    auto checking = check_space(request);
    co_return co_await checking;
  }
  if (request.operation == Message::kPunch) {
    auto punching = store_.punch(request.inode, request.offset, request.bytes);
    co_return co_await punching;
  }
  if (request.operation != Message::kAllocate && request.operation != Message::kZero) {
    co_return fail(Errc::bad_message);
  }
  const std::uint64_t first = request.offset >> request.chunk_shift;
  const std::uint64_t last = (request.offset + request.bytes - 1) >> request.chunk_shift;
  if (last - first >= wire::kAllocateChunksMax) co_return fail(Errc::bad_message);
  if (request.operation == Message::kZero) {
    auto punching = store_.punch(request.inode, request.offset, request.bytes);
    BFS_CO_CHECK(punched, co_await punching);
  }
  auto allocating = allocate_owned(request);
  co_return co_await allocating;
}

std::uint64_t HoleService::owned_bytes(const wire::Allocate::Request& request) const {
  const std::uint32_t shift = request.chunk_shift;
  const std::uint64_t end = request.offset + request.bytes;
  const std::uint64_t chunks = ((end - 1) >> shift) - (request.offset >> shift) + 1;
  // Every kSlots chunks pass through all slots once.
  const std::uint64_t cycles = chunks > kSlots ? chunks / kSlots - 1 : 0;
  std::uint64_t bytes = cycles * map_.slots_of(self_) << shift;
  for (std::uint64_t at = request.offset + (cycles * kSlots << shift); at < end;) {
    const std::uint64_t chunk = at >> shift;
    const std::uint64_t next = std::min((chunk + 1) << shift, end);
    if (owns(request.inode, chunk)) bytes += next - at;
    at = next;
  }
  return bytes;
}

/// There is room for what is not there yet. Parts of the file that are outside of the range count
/// as if they were inside: allocate_owned() looks closely.
Task<Status> HoleService::check_space(wire::Allocate::Request request) {
  BFS_CO_TRY(present, store_.allocated_bytes(request.inode));
  const std::uint64_t wanted = owned_bytes(request);
  if (wanted <= present) co_return Status{};
  const QuotaId quota = quotas_ != nullptr ? quota_of(request.inode) : 0;
  if (quota != 0) {
    auto sharing = quotas_->admit_bytes(quota, wanted - present);
    BFS_CO_TRY(share, co_await sharing);
    static_cast<void>(share);
  }
  auto admitting = space_.admit_bytes(wanted - present);
  BFS_CO_TRY(room, co_await admitting);
  static_cast<void>(room);  // given back: it is taken when it is needed
  co_return Status{};
}

Task<Status> HoleService::allocate_owned(wire::Allocate::Request request) {
  const std::uint32_t shift = request.chunk_shift;
  const std::uint64_t end = request.offset + request.bytes;
  std::uint64_t looked = 0;
  for (std::uint64_t at = request.offset; at < end;) {
    std::uint64_t chunk = at >> shift;
    const bool mine = owns(request.inode, chunk);
    do {
      ++chunk;
      if (++looked % kChunksPerTurn == 0) co_await loop_.next_turn();
    } while (chunk << shift < end && owns(request.inode, chunk) == mine);
    const std::uint64_t next = std::min(chunk << shift, end);
    if (mine) {
      std::optional<QuotaShares::Hold> share;
      if (quotas_ != nullptr && quota_of(request.inode) != 0) {
        auto sharing = quotas_->admit_range(request.inode, at, next - at);
        BFS_CO_TRY(given, co_await sharing);
        share.emplace(std::move(given));
      }
      auto admitting = space_.admit_range(request.inode, at, next - at);
      BFS_CO_TRY(room, co_await admitting);
      static_cast<void>(room);  // held until it is allocated
      auto allocating = store_.allocate(request.inode, at, next - at);
      BFS_CO_CHECK(allocated, co_await allocating);
    }
    at = next;
  }
  co_return Status{};
}

Task<Result<wire::Seek::Reply>> HoleService::find(wire::Seek::Request request) {
  const bool ordered = request.offset < request.limit;
  if (!ordered || !valid(request.offset, request.limit - request.offset, request.chunk_shift)) {
    co_return fail(Errc::bad_message);
  }
  if (request.what == wire::Seek::kHole) {
    auto finding = find_hole(request);
    co_return co_await finding;
  }
  if (request.what != wire::Seek::kData) co_return fail(Errc::bad_message);
  const auto found = store_.next_data(request.inode, request.offset, request.limit);
  if (!found) co_return std::unexpected(found.error());
  if (*found) co_return wire::Seek::Reply{**found, 1, 0};
  co_return wire::Seek::Reply{request.limit, 0, 0};
}

Task<Result<wire::Seek::Reply>> HoleService::find_hole(wire::Seek::Request request) {
  const std::uint32_t shift = request.chunk_shift;
  const std::unique_ptr<ChunkStore::HoleSearch> search = store_.search_holes(request.inode);
  unsigned looks_before = 0;
  std::uint64_t chunks = 0;
  std::uint64_t at = request.offset;
  while (at < request.limit) {
    const std::uint64_t chunk = at >> shift;
    const std::uint64_t next = std::min((chunk + 1) << shift, request.limit);
    if (owns(request.inode, chunk)) {
      const auto hole = search->next(at, next);
      if (!hole) co_return std::unexpected(hole.error());
      if (*hole) co_return wire::Seek::Reply{**hole, 1, 0};
    }
    at = next;
    if (++chunks >= kSeekChunksMax || search->looks() >= kSeekLooksMax) break;
    if (chunks % kChunksPerTurn == 0 || search->looks() - looks_before >= kLooksPerTurn) {
      looks_before = search->looks();
      co_await loop_.next_turn();
      search->forget();
    }
  }
  co_return wire::Seek::Reply{at, 0, 0};
}

}  // namespace benchfs
