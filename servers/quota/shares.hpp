// What this server may store and make for each quota: its share, which the authority
// (authority.hpp) hands out and may call back. A write is admitted, and an inode made, within the
// share; only when it is used up the authority is asked. docs/adr/0017-quotas.md.
#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

#include "loop/loop.hpp"
#include "loop/offload.hpp"
#include "loop/sync.hpp"
#include "metadata/file_quota.hpp"
#include "metadata/meta_store.hpp"
#include "quota/peers.hpp"
#include "storage/chunk_store.hpp"
#include "storage/piece_list.hpp"
#include "storage/space.hpp"

namespace benchfs {

/// Single-threaded. What is used is never stored here: bytes are the blocks that the chunk files
/// take, inodes are counted by the metadata store.
class QuotaShares : public FileQuota {
 public:
  /// Bytes that a write in progress may allocate.
  class Hold {
   public:
    Hold(QuotaShares& shares, QuotaId quota, std::uint64_t bytes)
        : shares_(&shares), quota_(quota), bytes_(bytes) {}
    Hold(Hold&& other) noexcept
        : shares_(std::exchange(other.shares_, nullptr)),
          quota_(other.quota_),
          bytes_(other.bytes_) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (shares_ != nullptr) shares_->release(quota_, bytes_);
    }

   private:
    QuotaShares* shares_;
    QuotaId quota_;
    std::uint64_t bytes_;
  };

  /// All outlive it.
  QuotaShares(Loop& loop, MetaStore& meta, ChunkStore& chunks, Space& space, Offload& offload,
              QuotaPeers& peers, ServerIndex self);
  ~QuotaShares() override;
  QuotaShares(const QuotaShares&) = delete;
  QuotaShares& operator=(const QuotaShares&) = delete;

  /// The write may go on as long as the hold lives. `inode` has a quota. Errors: quota;
  /// quota_unknown (the authority, or one that it needs, does not answer); io. Waits a little for
  /// what is being written or removed.
  Task<Result<Hold>> admit(InodeId inode, PieceList list);
  /// The same, for a range that is to be allocated without a write; and for so many bytes.
  Task<Result<Hold>> admit_range(InodeId inode, std::uint64_t offset, std::uint64_t bytes);
  Task<Result<Hold>> admit_bytes(QuotaId quota, std::uint64_t bytes);

  bool file_left(QuotaId quota) const override;
  Task<Status> more_files(QuotaId quota) override;

  /// The authority's word. Error: bad_message, busy (of check and repair), io.
  Task<Result<wire::QuotaRecall::Reply>> recall(wire::QuotaRecall::Request request);

 private:
  struct Round {
    Event done;
    Status outcome;
  };
  struct Share {
    std::uint64_t bytes = 0, files = 0;  ///< may be stored and made in all
    std::uint64_t held = 0;              ///< by writes in progress
    std::uint64_t quick = 0;             ///< bytes that may still be taken without counting anew
    std::uint64_t seen = 0;              ///< number of the authority's last word
    std::int64_t told_ns = 0;            ///< when it was logged last that nobody answers
    std::shared_ptr<Round> asking;
    WaitQueue released;
  };

  std::uint64_t used(QuotaId quota, const Share& share) const;
  bool take(QuotaId quota, std::uint64_t bytes);
  void release(QuotaId quota, std::uint64_t bytes);
  template <class Needed>
  Task<Result<Hold>> admit_needed(QuotaId quota, Needed needed);
  Task<Status> ask(QuotaId quota, std::uint64_t bytes_more, std::uint64_t files_more);
  Task<Status> ask_once(QuotaId quota, std::uint64_t bytes_more, std::uint64_t files_more);
  struct Count {
    std::uint64_t files = 0, kept = 0;  ///< that there are, and that were thought to be
  };
  Task<Result<Count>> count_files(QuotaId quota, bool repair);

  Loop& loop_;
  MetaStore& meta_;
  ChunkStore& chunks_;
  Space& space_;
  Offload& offload_;
  QuotaPeers& peers_;
  ServerIndex self_;
  std::unordered_map<QuotaId, Share> shares_;
};

}  // namespace benchfs
