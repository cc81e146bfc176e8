// The data path: a list of file extents and memory segments, cut by chunk, moved here or sent to
// all owners at once.
//
// Large pieces go from and to the caller's memory, one message each, without a copy. Small ones are
// packed into one message per server and batch: 175,000 messages of 4 bytes each are what a server
// drowns in. A read asks for the file's size only if an owner had less than was asked for: what is
// there is there.
#include "client/transfer.hpp"

#include <algorithm>
#include <cstring>

#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

/// Pieces below this are packed: copying them costs less than a message.
constexpr std::size_t kPackedBelow = 16 << 10;
/// A few small accesses are not worth asking for a descriptor.
constexpr std::uint64_t kLocalFromBytes = 64 << 10;
constexpr std::uint32_t kLocalFromTransfers = 4;
/// What a nonblocking call may move before it returns: some 10 us.
constexpr std::uint64_t kLocalInStartMax = 64 << 10;
constexpr std::size_t kWindowMin = 16;
constexpr std::size_t kWindowMax = 256;

std::size_t window_of(const Client& client, std::size_t servers) {
  return std::clamp(static_cast<std::size_t>(client.config().credits) * servers, kWindowMin,
                    kWindowMax);
}

/// Bytes of [offset, offset + bytes) that lie before `size`.
std::uint64_t before_end(std::uint64_t offset, std::uint64_t bytes, std::uint64_t size) {
  return offset >= size ? 0 : std::min(bytes, size - offset);
}

}  // namespace

// ---- PieceCursor ----

void PieceCursor::skip_empty() {
  while (!extents_.empty() && extent_done_ == extents_.front().bytes) {
    extents_ = extents_.subspan(1);
    extent_done_ = 0;
  }
  while (!memory_.empty() && segment_done_ == memory_.front().iov_len) {
    memory_ = memory_.subspan(1);
    segment_done_ = 0;
  }
}

PieceCursor::Piece PieceCursor::next(std::uint64_t chunk_bytes, std::size_t bytes_max) {
  const benchfs_extent& extent = extents_.front();
  const iovec& segment = memory_.front();
  const std::uint64_t offset = extent.offset + extent_done_;
  const std::uint64_t left_in_chunk = chunk_bytes - (offset & (chunk_bytes - 1));
  const std::uint64_t bytes =
      std::min({extent.bytes - extent_done_, left_in_chunk,
                std::uint64_t{segment.iov_len - segment_done_}, std::uint64_t{bytes_max}});
  const Piece piece{offset, static_cast<std::size_t>(bytes),
                    static_cast<std::byte*>(segment.iov_base) + segment_done_};
  extent_done_ += bytes;
  segment_done_ += static_cast<std::size_t>(bytes);
  skip_empty();
  return piece;
}

// ---- Transfer ----

Transfer::Transfer(Client& client, OpenFile& file, Direction direction, bool in_call)
    : client_(client),
      file_(file),
      direction_(direction),
      in_call_(in_call),
      window_(window_of(client, client.caller().servers())),
      mover_(direction == Direction::write, missing_) {}

Transfer::~Transfer() {
  BFS_ASSERT(gate_.inside() == 0);
}

Task<Outcome> Transfer::run(std::span<const benchfs_extent> extents,
                            std::span<const iovec> memory) {
  std::uint64_t total = 0;
  std::uint64_t begin = ~0ull;
  std::uint64_t end = 0;
  for (const benchfs_extent& extent : extents) {
    total += extent.bytes;
    if (extent.bytes == 0) continue;
    begin = std::min(begin, extent.offset);
    end = std::max(end, extent.offset + extent.bytes);
  }
  if (direction_ == Direction::write && spreads(file_, end)) mark_spread().detach();

  contiguous_ = extents.size() == 1 && memory.size() == 1;
  local_ = total > 0 && local_pays(total);
  if (merges(total, end)) write_flags_ = wire::Write::kMergeSize;
  if (direction_ == Direction::write) file_.merge_next = false;
  std::uint64_t middle = 0;
  if (local_) {
    if (file_.local == nullptr)
      file_.local = std::make_unique<LocalFiles>(client_.caller().servers());
    // Processes that write the same range start in different local files, and stay apart.
    if (direction_ == Direction::write && end - begin > kStripeBytes)
      middle =
          (begin & ~(kStripeBytes - 1)) + client_.local().ordinal() % kStripeFiles * kStripeBytes;
  }
  co_await walk(extents, memory, middle, ~0ull);
  if (middle > begin) co_await walk(extents, memory, 0, middle);
  settle();
  for (std::unique_ptr<Batch>& batch : open_) {
    if (batch == nullptr || error_) continue;
    co_await window_.acquire();
    move_batch(std::move(batch)).detach();
  }
  co_await gate_.drained();
  if (direction_ == Direction::write) ended_write(client_, file_, end);
  if (error_) {
    // A part may have been written to a file that is gone: the close asks, and takes it back.
    if (direction_ == Direction::write && error_->code == Errc::not_found) file_.size_dirty = true;
    co_return std::unexpected(*error_);
  }
  if (direction_ == Direction::write) {
    if (total > 0 && !size_told_) wrote(end);
    co_return static_cast<std::int64_t>(total);
  }
  if (missing_.empty()) {
    file_.saw_size(total);
    co_return static_cast<std::int64_t>(total);
  }
  const Outcome counted = co_await end_of_read(extents, total);
  if (counted) file_.saw_size(*size_);
  co_return counted;
}

/// A message to the home that carries all of it can carry the size as well. Of a file that is being
/// written by many calls only the first does: the home records each size that it is told.
bool Transfer::merges(std::uint64_t total, std::uint64_t end) const {
  return direction_ == Direction::write && file_.merge_next && !size_told_ && !local_ &&
         total > 0 && total <= client_.config().eager_max_bytes && end <= file_.chunk_bytes;
}

void Transfer::wrote(std::uint64_t end) {
  if (write_flags_ != 0 && unmerged_ == 0) {
    file_.metadata_dirty = true;
    return;
  }
  file_.wrote_to(end);
}

/// Starts to move the pieces that are in [from, to), a range that cuts no piece.
Task<void> Transfer::walk(std::span<const benchfs_extent> extents, std::span<const iovec> memory,
                          std::uint64_t from, std::uint64_t to) {
  const std::uint64_t unit = local_ ? local_unit(file_) : file_.chunk_bytes;
  const std::uint32_t shift = file_.chunk_shift();
  PieceCursor cursor(extents, memory);
  while (!cursor.done() && !error_) {
    const auto piece = cursor.next(unit, client_.rpc_bytes_max());
    if (piece.offset < from || piece.offset >= to) continue;
    const ServerIndex server = client_.map().owner(file_.inode, piece.offset >> shift);
    if (local_ && client_.local().usable(server)) {
      Taken taken = Taken::no;
      if (const auto moved = move_at_once(server, piece)) {
        taken = *moved;
      } else {
        auto opening = open_here(server, piece);
        taken = co_await opening;
      }
      if (taken == Taken::yes) continue;
    }
    if (contiguous_ || piece.bytes >= kPackedBelow) {
      if (!borrowed_.empty()) settle();
      co_await window_.acquire();
      move_piece(server, piece).detach();
      continue;
    }
    if (open_.empty()) open_.resize(client_.caller().servers());
    std::unique_ptr<Batch>& batch = open_[server];
    if (batch != nullptr && full(*batch, piece)) {
      if (!borrowed_.empty()) settle();
      co_await window_.acquire();
      move_batch(std::move(batch)).detach();
    }
    pack(batch, server, piece);
  }
}

bool Transfer::local_pays(std::uint64_t total) const {
  if (!local_allowed(client_, file_, direction_)) return false;
  if (!in_call_ && total > kLocalInStartMax) return false;
  if (file_.local != nullptr || total >= kLocalFromBytes) return true;
  return ++file_.transfers >= kLocalFromTransfers;
}

/// Nothing: what is needed for it has to be opened first.
std::optional<Transfer::Taken> Transfer::move_at_once(ServerIndex server,
                                                      const PieceCursor::Piece& piece) {
  if (!client_.local().connected(server)) return std::nullopt;
  if (client_.local().arena(server) != nullptr) return move_in_arena(server, piece);
  const StripePlace at = stripe_at(piece.offset);
  const LocalFile& file = file_.local->at(server, at.file);
  if (file.fd) return move_here(server, at, file.fd.get(), piece);
  if (!still_missing(server, file)) return std::nullopt;
  missing_.push_back({piece.offset, piece.bytes, piece.memory});
  return Taken::yes;
}

Task<Transfer::Taken> Transfer::open_here(ServerIndex server, PieceCursor::Piece piece) {
  if (!client_.local().connected(server)) {
    auto connecting = client_.local().ready(server);
    const Status connected = co_await connecting;
    if (!connected) co_return Taken::no;
    if (const auto moved = move_at_once(server, piece)) co_return *moved;
  }
  auto opening = client_.local().arena(server) != nullptr ? open_in_arena(server, piece)
                                                          : open_file(server, piece);
  co_return co_await opening;
}

/// The piece's local file is not open yet.
Task<Transfer::Taken> Transfer::open_file(ServerIndex server, PieceCursor::Piece piece) {
  const StripePlace at = stripe_at(piece.offset);
  const bool create = direction_ == Direction::write;
  const std::uint64_t made = client_.local().files_made(server);
  auto opened = co_await client_.local().open(server, file_.inode, at.file, create);
  LocalFile& file = file_.local->at(server, at.file);
  if (!opened) {
    if (!create && opened.error().code == Errc::not_found) {  // nothing has been written there
      file.missing_at = made;
      missing_.push_back({piece.offset, piece.bytes, piece.memory});
      co_return Taken::yes;
    }
    if (opened.error().code == Errc::busy) file_.local_refused = true;
    co_return Taken::no;
  }
  if (file.fd)  // another transfer was faster
    client_.local().release(server, file_.inode, at.file, *opened);
  else
    file.fd = std::move(*opened);
  co_return move_here(server, at, file.fd.get(), piece);
}

/// Nothing has been written to the local file since it was asked for in vain.
bool Transfer::still_missing(ServerIndex server, const LocalFile& file) const {
  return direction_ == Direction::read && file.missing_at != 0 &&
         file.missing_at == client_.local().files_made(server);
}

Transfer::Taken Transfer::move_here(ServerIndex server, const StripePlace& at, int fd,
                                    const PieceCursor::Piece& piece) {
  if (direction_ == Direction::write && !borrow(server, at, piece.bytes)) return Taken::no;
  moved_here(mover_.add(server, fd, at.offset, piece.offset, piece.memory, piece.bytes));
  if (direction_ == Direction::write) file_.dirty_servers[server] = true;
  return Taken::yes;
}

void Transfer::moved_here(const Status& status) {
  if (!status && !error_) error_ = status.error();
  if (const auto moved = mover_.take_moved()) {
    client_.local().count(moved->server, direction_ == Direction::write, moved->bytes);
  }
}

bool Transfer::full(const Batch& batch, const PieceCursor::Piece& piece) const {
  return batch.bytes + piece.bytes > client_.batch_bytes_max() ||
         batch.table.size() >= client_.config().list_max ||
         batch.memory.size() >= 4 * client_.config().list_max;
}

void Transfer::pack(std::unique_ptr<Batch>& batch, ServerIndex server,
                    const PieceCursor::Piece& piece) {
  if (batch == nullptr) {
    batch = std::make_unique<Batch>();
    batch->server = server;
    batch->staging = client_.staging().acquire();
  }
  const std::size_t table_room = client_.config().list_max * sizeof(wire::Piece);
  if (direction_ == Direction::write) {
    std::memcpy(batch->staging.data() + table_room + batch->bytes, piece.memory, piece.bytes);
  } else {
    batch->memory.push_back({piece.memory, piece.bytes});
  }
  batch->bytes += piece.bytes;
  const auto bytes = static_cast<std::uint32_t>(piece.bytes);
  const std::uint64_t chunk_mask = file_.chunk_bytes - 1;
  if (!batch->table.empty()) {
    wire::Piece& last = batch->table.back();
    const bool adjacent =
        last.offset + last.bytes == piece.offset && (piece.offset & chunk_mask) != 0;
    if (adjacent) {
      last.bytes += bytes;
      return;
    }
  }
  batch->table.push_back({piece.offset, bytes, 0});
}

void Transfer::took(ServerIndex server, const Error* error) {
  if (error == nullptr) {
    if (direction_ == Direction::write) file_.dirty_servers[server] = true;
  } else if (!error_) {
    error_ = *error;
  }
  window_.release();
}

Task<void> Transfer::mark_spread() {
  const Gate::Pass pass = gate_.enter();
  file_.spread = true;
  const wire::MarkSpread::Request request{file_.inode};
  const auto answer =
      co_await client_.caller().call<wire::MarkSpread>(client_.map().home(file_.inode), request);
  if (answer) co_return;
  file_.spread = false;
  if (!error_) error_ = answer.error();
}

Task<void> Transfer::move_piece(ServerIndex server, PieceCursor::Piece piece) {
  const Gate::Pass pass = gate_.enter();
  const auto bytes = static_cast<std::uint32_t>(piece.bytes);
  const std::span<std::byte> memory{piece.memory, piece.bytes};
  Caller& caller = client_.caller();
  if (direction_ == Direction::write) {
    const wire::Write::Request request{file_.inode, piece.offset,        bytes,
                                       0,           file_.chunk_shift(), write_flags_};
    const auto answer = co_await caller.call<wire::Write>(server, request, memory);
    if (answer && answer->body.merged == 0) ++unmerged_;
    took(server, answer ? nullptr : &answer.error());
    co_return;
  }
  const wire::Read::Request request{file_.inode, piece.offset, bytes, 0, file_.chunk_shift(), 0};
  const std::span<const std::byte> nothing;
  const auto answer = co_await caller.call<wire::Read>(server, request, nothing, memory);
  if (answer && answer->payload_bytes < piece.bytes) {
    const std::size_t got = answer->payload_bytes;
    missing_.push_back({piece.offset + got, piece.bytes - got, piece.memory + got});
    if (answer->body.size_here != 0) size_ = answer->body.size;
  }
  took(server, answer ? nullptr : &answer.error());
}

Task<void> Transfer::move_batch(std::unique_ptr<Batch> batch) {
  const Gate::Pass pass = gate_.enter();
  if (direction_ == Direction::write) {
    co_await write_batch(*batch);
  } else {
    co_await read_batch(*batch);
  }
}

Task<void> Transfer::write_batch(Batch& batch) {
  const std::size_t table_room = client_.config().list_max * sizeof(wire::Piece);
  std::byte* first = batch.staging.data() + table_room;
  std::size_t payload_bytes = batch.bytes;
  const std::size_t pieces = batch.table.size() == 1 ? 0 : batch.table.size();
  if (pieces > 0) {  // the table goes right in front of the data
    const std::size_t table_bytes = pieces * sizeof(wire::Piece);
    first -= table_bytes;
    payload_bytes += table_bytes;
    std::memcpy(first, batch.table.data(), table_bytes);
  }
  const wire::Write::Request request{file_.inode,
                                     batch.table[0].offset,
                                     static_cast<std::uint32_t>(batch.bytes),
                                     static_cast<std::uint32_t>(pieces),
                                     file_.chunk_shift(),
                                     write_flags_};
  const std::span<const std::byte> payload{first, payload_bytes};
  const auto answer = co_await client_.caller().call<wire::Write>(batch.server, request, payload);
  if (answer && answer->body.merged == 0) ++unmerged_;
  took(batch.server, answer ? nullptr : &answer.error());
}

Task<void> Transfer::read_batch(Batch& batch) {
  const std::size_t table_room = client_.config().list_max * sizeof(wire::Piece);
  const std::span<std::byte> into{batch.staging.data() + table_room, batch.bytes};
  const std::size_t pieces = batch.table.size() == 1 ? 0 : batch.table.size();
  std::span<const std::byte> table;
  if (pieces > 0) table = std::as_bytes(std::span{batch.table});
  const wire::Read::Request request{file_.inode,
                                    batch.table[0].offset,
                                    static_cast<std::uint32_t>(batch.bytes),
                                    static_cast<std::uint32_t>(pieces),
                                    file_.chunk_shift(),
                                    0};
  const auto answer =
      co_await client_.caller().call<wire::Read>(batch.server, request, table, into);
  if (answer) {
    std::uint64_t data_end = answer->body.data_end;
    if (pieces == 0 && answer->payload_bytes < batch.bytes) {
      data_end = batch.table[0].offset + answer->payload_bytes;
    }
    if (answer->body.size_here != 0) size_ = answer->body.size;
    unpack(batch, data_end);
  }
  took(batch.server, answer ? nullptr : &answer.error());
}

void Transfer::unpack(const Batch& batch, std::uint64_t data_end) {
  const std::byte* from = batch.staging.data() + client_.config().list_max * sizeof(wire::Piece);
  auto piece = batch.table.begin();
  std::uint64_t in_piece = 0;
  for (const iovec& segment : batch.memory) {
    const std::uint64_t offset = piece->offset + in_piece;
    auto* memory = static_cast<std::byte*>(segment.iov_base);
    const std::size_t present = before_end(offset, segment.iov_len, data_end);
    std::memcpy(memory, from, present);
    if (present < segment.iov_len) {
      missing_.push_back({offset + present, segment.iov_len - present, memory + present});
    }
    from += segment.iov_len;
    in_piece += segment.iov_len;
    if (in_piece == piece->bytes) {
      ++piece;
      in_piece = 0;
    }
  }
}

Task<Outcome> Transfer::end_of_read(std::span<const benchfs_extent> extents, std::uint64_t total) {
  // What the home said with the data is fresh, but for what this session has not told it.
  if (!size_ || client_.size_untold(file_.inode)) {
    BFS_CO_TRY(attributes, co_await client_.attributes(file_.inode));
    size_ = attributes.size;
  }
  const std::uint64_t size = *size_;
  for (const Missing& missing : missing_) {
    const std::uint64_t zeros = before_end(missing.offset, missing.bytes, size);
    std::memset(missing.memory, 0, static_cast<std::size_t>(zeros));
  }
  std::uint64_t count = 0;
  for (const benchfs_extent& extent : extents) {
    count += before_end(extent.offset, extent.bytes, size);
  }
  BFS_ASSERT(count <= total);
  co_return static_cast<std::int64_t>(count);
}

// ---- the operations ----

Task<Outcome> Client::read(OpenFile* file, std::span<const benchfs_extent> extents,
                           std::span<const iovec> memory, bool in_call) {
  Transfer transfer(*this, *file, Transfer::Direction::read, in_call);
  const Outcome outcome = co_await transfer.run(extents, memory);
  co_return outcome;
}

Task<Outcome> Client::write(OpenFile* file, std::span<const benchfs_extent> extents,
                            std::span<const iovec> memory, bool in_call) {
  Transfer transfer(*this, *file, Transfer::Direction::write, in_call);
  const Outcome outcome = co_await transfer.run(extents, memory);
  co_return outcome;
}

}  // namespace benchfs
