// Servers of one cluster as quotas see them, in one loop: stores and shares of each, one authority,
// and a network that the test can slow down and cut.
#pragma once
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "quota/authority.hpp"
#include "quota/shares.hpp"
#include "storage/loop_fixture.hpp"

namespace benchfs::quota_test {

struct QuotaFixture : testing::LoopFixture, QuotaPeers {
  struct Member {
    std::unique_ptr<MetaStore> meta;
    std::unique_ptr<ChunkStore> chunks;
    std::unique_ptr<Space> space;
    std::unique_ptr<QuotaShares> shares;
    bool reachable = true;
    std::vector<InodeId> files;
  };
  std::uint32_t count;
  SlotMap map;
  std::vector<Member> members;
  std::unique_ptr<QuotaAuthority> authority;
  QuotaId id_max = kQuotaIdMax;
  bool authority_reachable = true;
  std::int64_t reply_delay_ns = 0;  ///< of the authority's answers
  std::size_t asked = 0;            ///< of the authority

  explicit QuotaFixture(std::uint32_t servers)
      : count(servers), map(SlotMap::initial(servers, 5)), members(servers) {
    for (std::uint32_t i = 0; i < count; ++i) open(i);
    open_authority();
  }
  ~QuotaFixture() override {
    for (std::uint32_t i = 0; i < count; ++i) close(i);
  }

  ServerIndex root_home() const { return map.home(kRootInode); }
  void open(std::uint32_t index) {
    Member& member = members[index];
    const std::string path = dir.path() + "/" + std::to_string(index);
    std::filesystem::create_directories(path);
    member.meta = *MetaStore::open({.directory = path + "/meta"}, *loop, *offload);
    member.chunks =
        *ChunkStore::create({.data_dir = path, .io_mode = IoMode::plain}, nullptr, *offload);
    member.space = std::make_unique<Space>(*loop, *member.chunks, Space::Options{});
    member.shares =
        std::make_unique<QuotaShares>(*loop, *member.meta, *member.chunks, *member.space, *offload,
                                      *this, static_cast<ServerIndex>(index));
  }
  void close(std::uint32_t index) {
    Member& member = members[index];
    member.shares.reset();
    member.space.reset();
    if (index == root_home()) authority.reset();
    run(member.chunks->close());
    CHECK(run(member.meta->close()).has_value());
    member.chunks.reset();
    member.meta.reset();
  }
  void restart(std::uint32_t index) {
    close(index);
    open(index);
    if (index == root_home()) open_authority();
  }
  void open_authority() {
    authority = std::make_unique<QuotaAuthority>(
        *members[root_home()].meta, map, *this,
        QuotaAuthority::Options{.self = root_home(), .id_max = id_max, .young_ns = 0});
    REQUIRE(authority->start().has_value());
  }

  Task<Result<wire::QuotaShare::Reply>> share(wire::QuotaShare::Request request) override {
    ++asked;
    if (!authority_reachable) co_return fail(Errc::unreachable);
    auto asking = authority->share(request);
    const auto answer = co_await asking;
    if (reply_delay_ns > 0) co_await loop->sleep_ns(reply_delay_ns);
    co_return answer;
  }
  Task<Result<wire::QuotaRecall::Reply>> recall(ServerIndex server,
                                                wire::QuotaRecall::Request request) override {
    co_await loop->next_turn();
    if (!members[server].reachable) co_return fail(Errc::unreachable);
    auto recalling = members[server].shares->recall(request);
    co_return co_await recalling;
  }

  Task<void> nap(std::int64_t ns) { co_await loop->sleep_ns(ns); }

  // ---- what a user does ----

  Result<wire::Quota::Reply> quota(std::uint32_t operation, QuotaId id, std::uint64_t bytes = 0,
                                   std::uint64_t files = 0) {
    return run(authority->quota({id, operation, bytes, files}));
  }
  /// With the inode of its directory, on the first server.
  QuotaId make(std::uint64_t bytes, std::uint64_t files) {
    const auto made = quota(wire::Quota::kMake, 0, bytes, files);
    REQUIRE(made.has_value());
    REQUIRE(create(0, made->id).has_value());
    return made->id;
  }
  Status create(std::uint32_t server, QuotaId id) {
    Member& member = members[server];
    while (!member.meta->number_left()) run(member.meta->more_numbers()).value();
    if (!member.shares->file_left(id)) {
      const Status more = run(member.shares->more_files(id));
      if (!more) return more;
    }
    Inode inode;
    inode.attributes.inode = member.meta->next_inode(static_cast<Slot>(server), id);
    inode.attributes.mode = S_IFREG | 0644;
    member.meta->create_inode(inode);
    member.files.push_back(inode.attributes.inode);
    return run(member.meta->committed());
  }
  void remove(std::uint32_t server) {
    Member& member = members[server];
    const auto inode = member.meta->inode(member.files.back());
    REQUIRE(inode.has_value());
    member.meta->remove_inode(*inode);
    member.files.pop_back();
    CHECK(run(member.meta->committed()).has_value());
  }
  Status write(std::uint32_t server, InodeId inode, std::uint64_t offset, std::size_t bytes) {
    Member& member = members[server];
    // One server's map, as if it owned all chunks.
    static const SlotMap alone = SlotMap::initial(1, 3);
    const auto list = *PieceList::check({inode, offset, static_cast<std::uint32_t>(bytes), 0, 27},
                                        {}, alone, 0, 16u << 20);
    auto hold = run(member.shares->admit(inode, list));
    if (!hold) return std::unexpected(hold.error());
    const std::vector<std::byte> data = testing::random_bytes(bytes, offset);
    return run(member.chunks->write(inode, offset, data));
  }
  std::uint64_t files(QuotaId id) const {
    std::uint64_t sum = 0;
    for (const Member& member : members) sum += member.meta->quota_files(id);
    return sum;
  }
  std::uint64_t bytes(QuotaId id) {
    std::uint64_t sum = 0;
    for (Member& member : members) sum += member.chunks->stored_for(id);
    return sum;
  }
};

}  // namespace benchfs::quota_test
