#!/bin/bash
# Start Ceph's radosgw on loopback, with one monitor and one OSD in memory: start_radosgw.sh FOLDER PORT. Runs until it is ended.
# Needs root and Debian's packages ceph-mon, ceph-osd and radosgw. It prints "ready" once it answers; key and secret are "key" and "secret".
set -euo pipefail
folder=$(realpath -m "${1:?a folder}") port=${2:?a port}
mkdir -p "$folder"/{mon,osd,rgw,run}
monitor=$((port + 1))
export CEPH_CONF=$folder/ceph.conf
fsid=$(cat /proc/sys/kernel/random/uuid)
cat > "$CEPH_CONF" <<END
[global]
fsid = $fsid
mon_host = 127.0.0.1:$monitor
mon_initial_members = a
public_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
ms_mon_service_mode = crc
ms_mon_cluster_mode = crc
ms_client_mode = crc
ms_service_mode = crc
ms_cluster_mode = crc
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
ms_bind_ipv6 = false
run_dir = $folder/run
admin_socket = $folder/run/\$name.asok
log_file = $folder/\$name.log
pid_file =
[mon.a]
mon_data = $folder/mon
[osd.0]
osd_data = $folder/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_class_dir = /usr/lib/x86_64-linux-gnu/rados-classes
[client.rgw.a]
rgw_data = $folder/rgw
rgw_frontends = beast endpoint=127.0.0.1:$port
rgw_dns_name = localhost
END
processes=()
trap 'kill "${processes[@]}" 2>/dev/null; wait' EXIT
trap 'exit 0' TERM INT
ceph-authtool --create-keyring "$folder/rgw/keyring" --gen-key -n client.rgw.a > /dev/null
monmaptool --create --fsid "$fsid" --addv a "[v1:127.0.0.1:$monitor]" "$folder/monmap" > /dev/null
ceph-mon --mkfs -i a --monmap "$folder/monmap"
ceph-mon -f -i a & processes+=($!)
until timeout 10 ceph -s > /dev/null 2>&1; do kill -0 "${processes[0]}"; sleep 0.5; done
osd=$(cat /proc/sys/kernel/random/uuid)
ceph osd new "$osd" 0 > /dev/null
ceph-osd --mkfs -i 0 --osd-uuid "$osd"
ceph osd crush add-bucket host host > /dev/null && ceph osd crush move host root=default > /dev/null
ceph osd crush add osd.0 1 host=host > /dev/null
ceph-osd -f -i 0 & processes+=($!)
radosgw -f -n client.rgw.a --keyring "$folder/rgw/keyring" & processes+=($!)
until radosgw-admin user create --uid ada --display-name Ada --access-key key --secret secret > /dev/null 2>&1; do
    kill -0 "${processes[@]}"
    sleep 0.5
done
until curl -s -o /dev/null "http://127.0.0.1:$port"; do kill -0 "${processes[@]}"; sleep 0.2; done
echo ready
wait -n "${processes[@]}"
