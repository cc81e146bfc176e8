// The administration messages: what a server says of itself.
#pragma once
#include "metadata/meta_store.hpp"
#include "net/service.hpp"
#include "storage/chunk_store.hpp"
#include "storage/local_service.hpp"

namespace benchfs {

class AdminService {
 public:
  /// `local` may be null.
  AdminService(Dispatcher& dispatcher, const MetaStore& meta, ChunkStore& chunks, Space& space,
               const LocalService* local);
  void add_to(Dispatcher& dispatcher);
  Task<void> status(Incoming incoming);
  Task<void> space(Incoming incoming);

 private:
  Dispatcher& dispatcher_;
  const MetaStore& meta_;
  ChunkStore& chunks_;
  Space& space_;
  const LocalService* local_;
  std::int64_t started_ms_;
};

}  // namespace benchfs
