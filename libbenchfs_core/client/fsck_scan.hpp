// How a check sees the servers: all records of a kind, page by page from several servers at once,
// or one record as it is now; and the repairs it asks for. Private to client/.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/client.hpp"
#include "wire/messages.hpp"

namespace benchfs {

/// Single-threaded; the client outlives it. Errors carry the server's index; a server that does not
/// answer ends all of it.
class Scanner {
 public:
  explicit Scanner(Client& client) : client_(client) {}

  using VisitEntry = std::function<void(ServerIndex server, const wire::ScannedEntry& entry,
                                        std::string_view name)>;
  using VisitInode = std::function<void(ServerIndex server, const wire::ScannedInode& inode)>;
  using VisitData = std::function<void(ServerIndex server, InodeId inode)>;
  Task<Status> entries(VisitEntry visit);
  Task<Status> inodes(VisitInode visit);
  Task<Status> data(VisitData visit);

  /// What is not finished on all servers.
  struct Intents {
    std::uint64_t changes = 0;
    std::vector<InodeId> inodes{};  ///< sorted
    bool has(InodeId inode) const;
  };
  Task<Result<Intents>> intents();

  Task<Result<std::optional<wire::ScannedEntry>>> entry(ServerIndex server, InodeId parent,
                                                        std::string name);
  Task<Result<std::optional<wire::ScannedInode>>> inode(ServerIndex server, InodeId inode);
  /// At its home.
  Task<Result<std::optional<wire::ScannedInode>>> inode(InodeId inode) {
    return this->inode(client_.map().home(inode), inode);
  }
  Task<Result<std::optional<wire::ScannedData>>> data_of(ServerIndex server, InodeId inode);

  Task<Status> repair(ServerIndex server, wire::Repair::Request request, std::string name);

 private:
  using Visit = std::function<void(ServerIndex server, std::span<const std::byte> record)>;
  struct Page {
    wire::Scan::Reply reply{};
    std::vector<std::byte> records;
  };
  Task<Status> all(std::uint32_t kind, const Visit* visit);
  Task<Status> some(std::uint32_t kind, const Visit* visit, std::size_t* next_server);
  Task<Status> pages(ServerIndex server, std::uint32_t kind, const Visit* visit);
  Task<Result<Page>> page(ServerIndex server, wire::Scan::Request request, std::string name,
                          std::uint32_t bytes);
  template <class Record>
  Task<Result<std::optional<Record>>> one(ServerIndex server, std::uint32_t kind, InodeId inode,
                                          std::string name);
  Task<Result<Page>> look(ServerIndex server, std::uint32_t kind, InodeId inode, std::string name);

  Client& client_;
};

}  // namespace benchfs
