// The metadata store: what is in memory and in a journal goes down to RocksDB, piece by piece on
// the helper thread, while operations go on with the other journal.
#include "metadata/database.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kRetryNs = 100'000'000;

}  // namespace

Status MetaStore::begin_generation() {
  BFS_ASSERT(!moving_ && !background_.closed());
  const Status begun = database_->begin_generation();
  if (!begun) return begun;
  ++generations_;
  moving_ = true;
  move_down().detach();
  return {};
}

Task<void> MetaStore::move_down() {
  const Gate::Pass pass = background_.enter();
  auto moving = move_all_down();
  if (!co_await moving) co_return;  // the store is closed: the journal keeps it for the next start
  database_->older.reset();
  moving_ = false;
  ++moved_;
  moved_last_ = {};
  if (blocked_ != nullptr) settle_blocked(write());
  moves_down_.wake_all();
}

/// False: the store was closed meanwhile.
Task<bool> MetaStore::move_all_down() {
  const std::size_t all = database_->older->records().size();
  bool failed = false;
  for (std::size_t at = 0;;) {
    if (background_.closed()) co_return false;
    const bool last = at == all;
    std::size_t moved = 0;
    Status done;
    auto call = offload_.run([this, at, last, failed, &moved, &done] {
      Database& database = *database_;
      // After a full disk RocksDB takes no writes until it is told to go on.
      if (failed) database.db->Resume().PermitUncheckedError();
      const auto written = !last ? database.move_down(at, &moved)
                                 : (volatile_ ? rocksdb::Status::OK() : database.db->SyncWAL());
      if (!written.ok()) {
        log_debug("moving metadata to RocksDB: {}", written.ToString());
        done = std::unexpected(error_of(written));
      } else if (last) {
        done = database.journals[1]->clear(!volatile_);
      }
    });
    co_await call;
    if (done && last) break;
    at += moved;
    if (done) continue;
    if (!failed)
      log_error("moving metadata to RocksDB: {}; trying again", to_text(done.error().code));
    failed = true;
    moved_last_ = done;
    if (blocked_ != nullptr) {  // who waits for room is told why there is none
      roll_back();
      settle_blocked(done);
    }
    moves_down_.wake_all();
    auto pause = loop_.sleep_ns(kRetryNs);
    co_await pause;
  }
  if (failed) log_info("metadata are moved to RocksDB again");
  co_return true;
}

void MetaStore::settle_blocked(Status outcome) {
  const std::shared_ptr<Batch> batch = std::exchange(blocked_, nullptr);
  batch->outcome = outcome;
  batch->written.set();
}

Task<Status> MetaStore::settled() {
  auto writing = committed();
  BFS_CO_CHECK(written, co_await writing);
  if (database_->current->records().empty() && !moving_) co_return Status{};
  // What is current goes in the generation after the one that is on its way.
  const std::uint64_t wanted = generations_ + (database_->current->records().empty() ? 0 : 1);
  while (moved_ < wanted) {
    if (background_.closed()) co_return fail(Errc::busy);
    if (!moving_) {
      BFS_CO_CHECK(begun, begin_generation());
    }
    auto change = moves_down_.wait();
    co_await change;
    if (!moved_last_) co_return moved_last_;
  }
  co_return Status{};
}

}  // namespace benchfs
