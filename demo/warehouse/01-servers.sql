-- The warehouse learns where the read replicas are, and as whom to read them.
CREATE EXTENSION warehouse;

CREATE SERVER miacademy_main FOREIGN DATA WRAPPER replica_fdw
  OPTIONS (host :'miacademy_host', port :'miacademy_port', dbname 'miacademy');
CREATE SERVER miacademy_writemostly FOREIGN DATA WRAPPER replica_fdw
  OPTIONS (host :'miacademy_host', port :'miacademy_port', dbname 'miacademy_writemostly');
CREATE SERVER aicd_main FOREIGN DATA WRAPPER replica_fdw
  OPTIONS (host :'aicd_host', port :'aicd_port', dbname 'aicd');
CREATE SERVER aicd_writemostly FOREIGN DATA WRAPPER replica_fdw
  OPTIONS (host :'aicd_host', port :'aicd_port', dbname 'aicd_writemostly');
CREATE SERVER miaprep_main FOREIGN DATA WRAPPER replica_fdw
  OPTIONS (host :'miaprep_host', port :'miaprep_port', dbname 'miaprep');
CREATE SERVER miaprep_writemostly FOREIGN DATA WRAPPER replica_fdw
  OPTIONS (host :'miaprep_host', port :'miaprep_port', dbname 'miaprep_writemostly');

CREATE USER MAPPING FOR PUBLIC SERVER miacademy_main        OPTIONS (user 'analytics', password :'analytics_password');
CREATE USER MAPPING FOR PUBLIC SERVER miacademy_writemostly OPTIONS (user 'analytics', password :'analytics_password');
CREATE USER MAPPING FOR PUBLIC SERVER aicd_main             OPTIONS (user 'analytics', password :'analytics_password');
CREATE USER MAPPING FOR PUBLIC SERVER aicd_writemostly      OPTIONS (user 'analytics', password :'analytics_password');
CREATE USER MAPPING FOR PUBLIC SERVER miaprep_main          OPTIONS (user 'analytics', password :'analytics_password');
CREATE USER MAPPING FOR PUBLIC SERVER miaprep_writemostly   OPTIONS (user 'analytics', password :'analytics_password');

SELECT server, reachable, in_recovery FROM warehouse.replica_status() ORDER BY server;
