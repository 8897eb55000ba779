const axios = require('axios');
const qs = require('qs');

async function retrieveAccessToken() {
let data = qs.stringify({
  'grant_type': 'client_credentials',
  'client_id': process.env.FIREFLY_CLIENT_ID,
  'client_secret': process.env.FIREFLY_CLIENT_SECRET,
  'scope': 'openid,AdobeID,session,additional_info,read_organizations,firefly_api,ff_apis' 
});

let config = {
  method: 'post',
  maxBodyLength: Infinity,
  url: 'https://ims-na1.adobelogin.com/ims/token/v3',
  headers: { 
    'Content-Type': 'application/x-www-form-urlencoded', 
  },
  data : data
};

  try {
    const response = await axios.request(config);
    const { access_token } = response.data;
    return access_token;
  } catch (error) {
    console.log(error);
  }
}

async function generateImage(data) {
  let config = {
    method: 'post',
    maxBodyLength: Infinity,
    url: 'https://firefly-api.adobe.io/v3/images/generate',
    headers: { 
      'Content-Type': 'application/json', 
      'Accept': 'application/json', 
      'x-api-key': process.env.FIREFLY_CLIENT_ID,
      'Authorization': `Bearer ${process.env.FIREFLY_ACCESS_TOKEN}`
    },
    data : JSON.stringify(data)
  };

  try {
    const response = await axios.request(config);
    console.log(JSON.stringify(response.data));
  }
  catch (error) {
    console.log(error);
  }
}

let data = {
  prompt: 'a cat dancing on a rainbow'
};

generateImage(data);
